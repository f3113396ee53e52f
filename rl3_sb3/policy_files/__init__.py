"""Exported policies that are safe to load: safetensors, JSON and a model card, nothing executable.

folder        writes and reads the folder of an exported policy
weights       the tensors as safetensors: both networks or the actor, float32 or float16
description   the content of `policy.json`: class, arguments, spaces, versions
spaces        observation and action spaces as JSON, bit for bit
record        how a policy was trained: environment, steps, seed, versions
training      makes the record of a model
card          the README of an exported policy
strict_json   reads untrusted files: limits, and one error class
"""
