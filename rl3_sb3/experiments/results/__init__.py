"""The results of agents: evaluations, tables and figures."""
