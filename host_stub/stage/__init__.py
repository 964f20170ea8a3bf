"""An image stage as the host asks it: opened, checked, surveyed and planned by one request."""
