"""The register: device models, equipment, maintenance, work orders, contracts and training."""
