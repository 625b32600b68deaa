"""The register in the admin, one idea a module."""

from equipment.admin import catalogue, contracts, imports, maintenance, register, training, work_orders

__all__ = ["catalogue", "contracts", "imports", "maintenance", "register", "training", "work_orders"]
