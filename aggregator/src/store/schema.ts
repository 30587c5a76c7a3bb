/**
 * The tables as Kysely types, the same for both engines; migrations/ makes them. Column types are what the tables enforce
 * (STRICT, CHECK, NOT NULL), so a row needs no second parse; text columns that hold JSON are parsed where they are read.
 * Instants are ISO text, truth values 0 or 1, and every integer fits a JavaScript number.
 */
import type { AgentKind, AgentOrigin } from '@rollcall/shared/domain/agent-kind.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import type { Month } from '@rollcall/shared/domain/month.ts';
import type { OrganisationKind } from '@rollcall/shared/domain/organisation.ts';
import type { MissingReportPolicy, Programme } from '@rollcall/shared/domain/price-agreement.ts';
import type { Product } from '@rollcall/shared/domain/product.ts';
import type { KeyState, KeyWish } from '@rollcall/shared/domain/product-key.ts';
import type { Hash, PublicKey } from '@rollcall/shared/ledger/crypto.ts';
import type { InvoiceKind, LineBasis } from '@rollcall/shared/api/invoice.ts';
import type { TreePath } from '../core/scope.ts';

export type Flag = 0 | 1;
/** JSON in a text column. */
type Json = string;

export type OrganisationRow = {
  id: string;
  kind: OrganisationKind;
  parent_id: string | null;
  path: TreePath;
  name: string;
  name_key: string;
  country: string;
  currency: string;
  tax_id: string | null;
  address_lines: Json;
  created_at: Instant;
};

export type AccountRow = {
  id: string;
  msp_id: string;
  name: string;
  name_key: string;
  address_lines: Json;
  note: string;
  created_at: Instant;
};

export type SiteRow = {
  id: string;
  msp_id: string;
  account_id: string;
  name: string;
  name_key: string;
  time_zone: string;
  note: string;
  settings: Json;
  created_at: Instant;
  enrolled_at: Instant | null;
  /** First month of its life, in its zone: that of its first enrolment, whatever its ledger says. Null until it lives. */
  first_month: Month | null;
  closed_at: Instant | null;
  /** Month of its closing, in its zone. */
  last_month: Month | null;
  software: string | null;
  last_contact_at: Instant | null;
  flag: string | null;
  public_key: PublicKey | null;
  /** The roll-out token that made it. */
  made_by_token_id: string | null;
  /** Commands queued so far; the next one's position. */
  commands_queued: number;
};

export type ApiTokenRow = {
  id: string;
  organisation_id: string;
  name: string;
  hash: Hash;
  created_by_token_id: string | null;
  created_at: Instant;
  expires_at: Instant | null;
  last_used_at: Instant | null;
  revoked_at: Instant | null;
};

export type EnrolmentTokenRow = {
  id: string;
  site_id: string | null;
  account_id: string;
  hash: Hash;
  uses_max: number;
  uses: number;
  created_at: Instant;
  expires_at: Instant;
  withdrawn_at: Instant | null;
};

export type ProductKeyRow = {
  id: string;
  site_id: string;
  product: Product;
  key_text: string;
  key_hint: string;
  wish: KeyWish;
  site_state: KeyState | null;
  created_at: Instant;
  lease_issued_at: Instant | null;
  lease_until: Instant | null;
};

export type CommandRow = {
  id: string;
  site_id: string;
  key_id: string;
  position: number;
  name: string;
  issued_at: Instant;
  outcome: 'applied' | 'refused' | null;
  code: string | null;
  answered_at: Instant | null;
};

export type SiteIngestRow = {
  site_id: string;
  public_key: PublicKey;
  time_zone: string;
  head_seq: number;
  head_hash: Hash;
  head_at: Instant;
  /** Null, with all below it, before the first entry. */
  month: Month | null;
  period_start: Instant | null;
  sealed: Flag;
  meter_at: Instant | null;
  server_count: number | null;
  server_peak: number | null;
  server_peak_at: Instant | null;
  workstation_count: number | null;
  workstation_peak: number | null;
  workstation_peak_at: Instant | null;
};

export type SiteLogRow = {
  site_id: string;
  seq: number;
  at: Instant;
  kind: string;
  hash: Hash;
  received_at: Instant;
  text: string;
};

export type DeploymentRow = {
  site_id: string;
  deployed_seq: number;
  endpoint_id: string;
  machine_id: string;
  host_name: string;
  kind: AgentKind;
  origin: AgentOrigin;
  agent_version: string;
  deployed_at: Instant;
  removed_at: Instant | null;
  removed_seq: number | null;
  removed_reason: string | null;
};

export type MonthCountRow = {
  site_id: string;
  month: Month;
  period_start: Instant;
  period_end: Instant;
  server_peak: number;
  server_peak_at: Instant | null;
  workstation_peak: number;
  workstation_peak_at: Instant | null;
  settled: Flag;
};

export type ReportRevisionRow = {
  site_id: string;
  month: Month;
  revision: number;
  seq: number;
  hash: Hash;
  agreeing: Flag;
  received_at: Instant;
  server_peak: number;
  workstation_peak: number;
  report: Json;
};

export type FindingRow = {
  id: string;
  site_id: string;
  code: string;
  message: string;
  at: Instant;
  resolved_at: Instant | null;
};

export type AgreementRow = {
  id: string;
  seller_id: string;
  buyer_id: string;
  programme: Programme;
  currency: string;
  server_unit_price_minor: number;
  workstation_unit_price_minor: number;
  tax_rate_percent: string;
  payment_term_days: number;
  time_zone: string;
  missing_report_policy: MissingReportPolicy;
  valid_from: Month;
  created_at: Instant;
};

export type InvoiceRow = {
  id: string;
  kind: InvoiceKind;
  state: 'draft' | 'finalised';
  number: string | null;
  /** Place among the finalised documents of its edge and month, from 1. */
  position: number | null;
  seller_id: string;
  buyer_id: string;
  seller_name: string;
  buyer_name: string;
  seller_address_lines: Json;
  seller_country: string;
  seller_tax_id: string | null;
  buyer_address_lines: Json;
  buyer_country: string;
  buyer_tax_id: string | null;
  agreement_id: string;
  month: Month;
  currency: string;
  net_minor: number;
  tax_rate_percent: string;
  tax_minor: number;
  gross_minor: number;
  refers_to_id: string | null;
  refers_to_number: string | null;
  created_at: Instant;
  finalised_at: Instant | null;
  due_on: string | null;
  missing_reports: number;
  missing_unbilled: number;
};

export type InvoiceLineRow = {
  invoice_id: string;
  number: number;
  msp_id: string;
  msp_name: string;
  account_id: string;
  account_name: string;
  site_id: string;
  site_name: string;
  month: Month;
  kind: AgentKind;
  quantity: number;
  unit_price_minor: number;
  net_minor: number;
  basis: LineBasis;
  revision: number | null;
  counted_up_to: number | null;
};

/** One row an edge and month that was ever closed; its update is the lock of a close. */
export type CloseRow = { seller_id: string; buyer_id: string; month: Month; documents: number };

/** Last number taken, per seller, series and year. */
export type NumberSeriesRow = { seller_id: string; series: 'INV' | 'CRN' | 'DBN'; year: number; last: number };

export type SecretRow = { name: string; text: string };

export type Tables = {
  organisations: OrganisationRow;
  accounts: AccountRow;
  sites: SiteRow;
  api_tokens: ApiTokenRow;
  enrolment_tokens: EnrolmentTokenRow;
  product_keys: ProductKeyRow;
  commands: CommandRow;
  site_ingest: SiteIngestRow;
  site_log: SiteLogRow;
  deployments: DeploymentRow;
  month_counts: MonthCountRow;
  report_revisions: ReportRevisionRow;
  findings: FindingRow;
  agreements: AgreementRow;
  invoices: InvoiceRow;
  invoice_lines: InvoiceLineRow;
  closes: CloseRow;
  number_series: NumberSeriesRow;
  secrets: SecretRow;
};
