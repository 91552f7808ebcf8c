-- Only the owner may enter, until somebody is let in.
revoke all on database {database} from public;
