"""規律: evaluation, safety measurements, evidence, model card. Reads artifacts, writes artifacts."""
