/** Price agreements: programme, prices, currency and terms between a seller and a buyer (domain text, sections 1 and 7). */
import { z } from 'zod';
import { Currency } from './currency.ts';
import { MoneyMinor } from './money.ts';
import { Month } from './month.ts';
import { TimeZone } from './time-zone.ts';

/** The rules by which usage turns into money. One so far; an unknown one is refused, never guessed. */
export const Programme = z.enum(['metered-peak']);
export type Programme = z.infer<typeof Programme>;

/** How a month with a missing report is billed: wait for it, or bill the aggregator's count and true it up. */
export const MissingReportPolicy = z.enum(['hold', 'estimate']);
export type MissingReportPolicy = z.infer<typeof MissingReportPolicy>;

/**
 * Highest price of one agent for one month, in minor units: a million of a currency with two decimals. At this price 50 million
 * agents still make an amount that is exact.
 */
export const unitPriceMinorMax = 100_000_000;

const UnitPriceMinor = MoneyMinor.nonnegative().max(unitPriceMinorMax);

/** Per cent as an exact decimal from '0' to '100': '22', '7.7'. One pattern, since a published schema shows one. */
const TaxRatePercent = z
  .string()
  .regex(
    /^(?:(?:0|[1-9]\d?)(?:\.\d{1,6})?|100(?:\.0{1,6})?)$/,
    'must be a decimal number as text between 0 and 100 per cent, with at most 6 decimals, such as "22" or "7.7"',
  );

/** The terms of a price agreement; who sells to whom stands beside them. All prices net, in minor units of `currency`. */
export const AgreementTerms = z.object({
  programme: Programme,
  currency: Currency,
  /** Price of one agent for one month, minor units. */
  serverUnitPriceMinor: UnitPriceMinor,
  workstationUnitPriceMinor: UnitPriceMinor,
  /** Zero is written, never assumed. */
  taxRatePercent: TaxRatePercent,
  paymentTermDays: z.int().min(0).max(365),
  /** Zone of the billing month (domain text, section 7). */
  timeZone: TimeZone,
  missingReportPolicy: MissingReportPolicy,
  /** First month billed under these terms. A later agreement of the same edge takes over from its own first month. */
  validFrom: Month,
});
export type AgreementTerms = z.infer<typeof AgreementTerms>;
