"""Who somebody is, who wrote what a release brings, and whose votes count."""
