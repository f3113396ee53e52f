"""Policies as files that anyone may load: safetensors, JSON and a model card, nothing to execute.

folder        writes and reads the folder of an exported policy
weights       the tensors as safetensors: both networks or the actor, float32 or float16
description   what `policy.json` says: class, arguments, spaces, versions
spaces        observation and action spaces as JSON, bit for bit
record        what a policy was trained on, for how long, by which versions
card          the README of an exported policy
strict_json   reading bytes of strangers: limits, and the one error
"""
