"""Linear action values on fixed features, by least-squares temporal differences."""
