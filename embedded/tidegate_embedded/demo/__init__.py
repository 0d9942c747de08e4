"""The demonstration: real commits travel through the pipeline of the embedded AWS."""
