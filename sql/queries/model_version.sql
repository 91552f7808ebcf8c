select * from lifecycle.model_versions where domain = %(domain)s and target = %(target)s and version = %(version)s;
