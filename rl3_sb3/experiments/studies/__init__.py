"""What the scripts in examples/studies/ share."""
