"""Figures, reports and operating pages over the domain; who may do what."""
