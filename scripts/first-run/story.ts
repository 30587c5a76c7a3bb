/**
 * What happened at the two sites during the two months that `npm start` lives through: which machines there were and when.
 * A story with the things that make metering worth explaining: a swap, a migration with one server too many, a machine that
 * went silent, one that became a server. Owns facts only; two-months.ts lives them.
 */
import type { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';

export type Machine = {
  machineId: string;
  hostName: string;
  kind: AgentKind;
  /** Days since the first month's beginning. */
  fromDay: number;
  /** Day on which the agent is uninstalled. */
  untilDay?: number;
  /** Day after which the machine is not heard of any more. */
  silentFromDay?: number;
  /** Day on which it becomes a server. */
  serverFromDay?: number;
};

export type SiteStory = { name: string; timeZone: string; machines: Machine[] };

const workstation = (number: number, fromDay = 0): Machine => ({
  machineId: `office-pc-${String(number).padStart(2, '0')}`,
  hostName: `PC-${String(number).padStart(2, '0')}`,
  kind: 'workstation',
  fromDay,
});

/** The second month begins on day 30 or 31; days from 33 on lie in it whatever the months are. */
export const sites: SiteStory[] = [
  {
    name: 'Harbour office',
    timeZone: 'Europe/Rome',
    machines: [
      { machineId: 'office-srv-files', hostName: 'SRV-FILES', kind: 'server', fromDay: 0 },
      { machineId: 'office-srv-db', hostName: 'SRV-DB', kind: 'server', fromDay: 0 },
      // Beside the old one for three days while the data moves: the peak of the second month.
      { machineId: 'office-srv-db-new', hostName: 'SRV-DB2', kind: 'server', fromDay: 44, untilDay: 47 },
      ...[1, 2, 3, 4, 5].map((number) => workstation(number)),
      { ...workstation(6), untilDay: 19 },
      // Takes the place of PC-06 on the same day.
      workstation(7, 19),
      workstation(8, 36),
    ],
  },
  {
    name: 'Boatyard',
    timeZone: 'Europe/Rome',
    machines: [
      { machineId: 'yard-srv-01', hostName: 'YARD-SRV', kind: 'server', fromDay: 0 },
      { machineId: 'yard-pc-01', hostName: 'YARD-01', kind: 'workstation', fromDay: 0, serverFromDay: 40 },
      { machineId: 'yard-pc-02', hostName: 'YARD-02', kind: 'workstation', fromDay: 2, silentFromDay: 12 },
      { machineId: 'yard-laptop', hostName: 'FOREMAN', kind: 'workstation', fromDay: 8 },
    ],
  },
];

/** Who sells to whom, and at which prices, in minor units of the currency. */
export const tenants = {
  vendor: {
    name: 'Keelson Software',
    country: 'GB',
    currency: 'GBP',
    taxId: 'GB 000 0000 01',
    addressLines: ['1 Quay Street', 'Bristol'],
  },
  distributor: {
    name: 'Adriatica Distribuzione',
    country: 'IT',
    currency: 'EUR',
    taxId: 'IT 00000000017',
    addressLines: ['Riva del Molo 4', '34121 Trieste'],
  },
  msp: {
    name: 'Nordwind IT',
    country: 'IT',
    currency: 'EUR',
    taxId: 'IT 00000000025',
    addressLines: ['Via dei Cantieri 12', '34123 Trieste'],
  },
  account: { name: 'Marina Bianchi', addressLines: ['Molo Sartorio 1', '34123 Trieste'], note: '' },
  toDistributor: {
    serverUnitPriceMinor: 450,
    workstationUnitPriceMinor: 150,
    taxRatePercent: '0',
    paymentTermDays: 30,
  },
  toMsp: { serverUnitPriceMinor: 900, workstationUnitPriceMinor: 280, taxRatePercent: '22', paymentTermDays: 14 },
} as const;
