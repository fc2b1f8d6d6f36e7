"""The artifact store as the pages show it: read only, and never more of a file than its manifest lists."""
