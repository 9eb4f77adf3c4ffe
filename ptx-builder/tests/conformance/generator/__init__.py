"""The conformance cases' generator; run generate.py one folder up."""
