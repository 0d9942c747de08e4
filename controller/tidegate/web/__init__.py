"""The page: releases in a browser, served by the machine of the person who looks."""
