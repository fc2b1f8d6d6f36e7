"""What training takes: every layout's memory and step time, and the search for the best."""
