"""The pipeline: contracts, ports, stages, the plan, and the runtimes that execute it."""
