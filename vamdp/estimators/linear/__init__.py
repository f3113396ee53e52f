"""Linear action values on fixed features, learned by least-squares temporal differences."""
