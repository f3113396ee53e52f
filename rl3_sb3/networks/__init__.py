"""What a policy can be made of: networks from tokens to outputs, each with its own memory."""
