"""The networks of policies: functions from tokens to outputs, each with its own kind of memory."""
