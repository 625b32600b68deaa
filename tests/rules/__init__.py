"""The rules of the protocol: each with a test that fails when the rule is taken out of the code."""
