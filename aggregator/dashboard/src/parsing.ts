// How zod parses here. Imported before any schema is made, since a schema looks at this once.
import { config } from 'zod';

// Otherwise zod tries whether it may compile its checks, and the content security policy reports that it may not.
config({ jitless: true });
