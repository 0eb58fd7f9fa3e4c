"""The IP blocker, on an emulated DynamoDB and WAF."""
