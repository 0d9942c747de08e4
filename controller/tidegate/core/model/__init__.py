"""What Tidegate talks about, as values: nothing here decides or asks anybody.

What people write (``manifest``, ``strategy``), what a build made (``artifact``), what a release is
going to do (``plan``), and what is kept of it (``record``).
"""
