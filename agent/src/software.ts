/** What this program calls itself to the aggregator and to people. */
import packageFile from '../package.json' with { type: 'json' };

export const programVersion = packageFile.version;

/** As `SoftwareVersion` on the wire. */
export const software = `rollcall-site ${programVersion}`;
