"""Who did what, when and from where: every privileged act, kept for as long as the programme."""
