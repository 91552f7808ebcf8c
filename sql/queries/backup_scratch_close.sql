revoke all on database {database} from public;
