"""The rehearsal: the recorded graph, judged by the real AWS provider.

pulumi-aws is a bridge over terraform-provider-aws, so the graph can be written as Terraform JSON and planned by
that very provider: its own argument checks and its own plan logic, without an account.
"""
