/**
 * Version 1: tenancy, sites, keys, the ledgers with what is derived from them, and documents of the programme
 * `metered-peak`. Never edited once released; a change is a new version.
 */
import {
  type ColumnTypes,
  columnTypes,
  type Dialect,
  replaceGuardSql,
  rowGuardSql,
  truncateGuardSql,
} from './dialect.ts';

export function meteredPeak(dialect: Dialect): string[] {
  const types = columnTypes[dialect];
  return [
    ...tenancyTables(types),
    ...siteTables(types),
    ...ledgerTables(types),
    ...billingTables(types),
    ...guards(dialect),
  ];
}

const tenancyTables = ({ text, integer, tableEnd, keyedTableEnd }: ColumnTypes): string[] => [
  `CREATE TABLE organisations (
    id ${text} PRIMARY KEY,
    kind ${text} NOT NULL CHECK (kind IN ('vendor', 'distributor', 'msp')),
    parent_id ${text} REFERENCES organisations (id),
    path ${text} NOT NULL UNIQUE,
    name ${text} NOT NULL,
    name_key ${text} NOT NULL,
    country ${text} NOT NULL CHECK (length(country) = 2),
    currency ${text} NOT NULL CHECK (length(currency) = 3),
    tax_id ${text},
    address_lines ${text} NOT NULL,
    created_at ${text} NOT NULL,
    CHECK ((kind = 'vendor') = (parent_id IS NULL))
  ) ${tableEnd}`,
  `CREATE UNIQUE INDEX organisations_one_vendor ON organisations (kind) WHERE kind = 'vendor'`,
  'CREATE UNIQUE INDEX organisations_name ON organisations (parent_id, name_key)',
  'CREATE INDEX organisations_by_name ON organisations (name_key, id)',
  `CREATE TABLE accounts (
    id ${text} PRIMARY KEY,
    msp_id ${text} NOT NULL REFERENCES organisations (id),
    name ${text} NOT NULL,
    name_key ${text} NOT NULL,
    address_lines ${text} NOT NULL,
    note ${text} NOT NULL,
    created_at ${text} NOT NULL,
    UNIQUE (id, msp_id)
  ) ${tableEnd}`,
  'CREATE UNIQUE INDEX accounts_name ON accounts (msp_id, name_key)',
  'CREATE INDEX accounts_by_name ON accounts (name_key, id)',
  `CREATE TABLE api_tokens (
    id ${text} PRIMARY KEY,
    organisation_id ${text} NOT NULL REFERENCES organisations (id),
    name ${text} NOT NULL,
    hash ${text} NOT NULL CHECK (length(hash) = 64),
    created_by_token_id ${text} REFERENCES api_tokens (id),
    created_at ${text} NOT NULL,
    expires_at ${text},
    last_used_at ${text},
    revoked_at ${text}
  ) ${tableEnd}`,
  'CREATE UNIQUE INDEX api_tokens_hash ON api_tokens (hash)',
  'CREATE INDEX api_tokens_by_organisation ON api_tokens (organisation_id)',
  'CREATE INDEX api_tokens_by_creator ON api_tokens (created_by_token_id)',
  `CREATE TABLE secrets (name ${text} PRIMARY KEY, text ${text} NOT NULL) ${keyedTableEnd}`,
  `CREATE TABLE number_series (
    seller_id ${text} NOT NULL REFERENCES organisations (id),
    series ${text} NOT NULL CHECK (series IN ('INV', 'CRN', 'DBN')),
    year ${integer} NOT NULL,
    last ${integer} NOT NULL CHECK (last >= 1),
    PRIMARY KEY (seller_id, series, year)
  ) ${keyedTableEnd}`,
];

const siteTables = ({ text, integer, tableEnd }: ColumnTypes): string[] => [
  `CREATE TABLE sites (
    id ${text} PRIMARY KEY,
    msp_id ${text} NOT NULL,
    account_id ${text} NOT NULL,
    name ${text} NOT NULL,
    name_key ${text} NOT NULL,
    time_zone ${text} NOT NULL,
    note ${text} NOT NULL,
    settings ${text} NOT NULL,
    created_at ${text} NOT NULL,
    enrolled_at ${text},
    first_month ${text} CHECK (length(first_month) = 7),
    closed_at ${text},
    last_month ${text} CHECK (length(last_month) = 7),
    software ${text},
    last_contact_at ${text},
    flag ${text},
    public_key ${text} CHECK (length(public_key) = 43),
    made_by_token_id ${text},
    commands_queued ${integer} NOT NULL DEFAULT 0,
    FOREIGN KEY (account_id, msp_id) REFERENCES accounts (id, msp_id),
    CHECK ((closed_at IS NULL) = (last_month IS NULL))
  ) ${tableEnd}`,
  'CREATE UNIQUE INDEX sites_name ON sites (msp_id, name_key)',
  'CREATE INDEX sites_by_name ON sites (name_key, id)',
  'CREATE INDEX sites_by_account ON sites (account_id)',
  'CREATE INDEX sites_by_time_zone ON sites (time_zone)',
  'CREATE INDEX sites_by_public_key ON sites (public_key) WHERE made_by_token_id IS NOT NULL',
  'CREATE INDEX sites_flagged ON sites (name_key, id) WHERE flag IS NOT NULL',
  `CREATE TABLE enrolment_tokens (
    id ${text} PRIMARY KEY,
    site_id ${text} REFERENCES sites (id),
    account_id ${text} NOT NULL REFERENCES accounts (id),
    hash ${text} NOT NULL CHECK (length(hash) = 64),
    uses_max ${integer} NOT NULL,
    uses ${integer} NOT NULL,
    created_at ${text} NOT NULL,
    expires_at ${text} NOT NULL,
    withdrawn_at ${text},
    CHECK (uses >= 0 AND uses <= uses_max)
  ) ${tableEnd}`,
  'CREATE UNIQUE INDEX enrolment_tokens_hash ON enrolment_tokens (hash)',
  'CREATE INDEX enrolment_tokens_by_account ON enrolment_tokens (account_id)',
  `CREATE TABLE product_keys (
    id ${text} PRIMARY KEY,
    site_id ${text} NOT NULL REFERENCES sites (id),
    product ${text} NOT NULL CHECK (product IN ('metered-agent')),
    key_text ${text} NOT NULL,
    key_hint ${text} NOT NULL,
    wish ${text} NOT NULL CHECK (wish IN ('active', 'deactivated')),
    site_state ${text} CHECK (site_state IN ('active', 'warning', 'restricted', 'disabled-offline', 'deactivated')),
    created_at ${text} NOT NULL,
    lease_issued_at ${text},
    lease_until ${text},
    CHECK ((lease_issued_at IS NULL) = (lease_until IS NULL))
  ) ${tableEnd}`,
  'CREATE UNIQUE INDEX product_keys_one_a_site ON product_keys (site_id, product)',
  'CREATE UNIQUE INDEX product_keys_text ON product_keys (key_text)',
  `CREATE TABLE commands (
    id ${text} PRIMARY KEY,
    site_id ${text} NOT NULL REFERENCES sites (id),
    key_id ${text} NOT NULL REFERENCES product_keys (id),
    position ${integer} NOT NULL,
    name ${text} NOT NULL,
    issued_at ${text} NOT NULL,
    outcome ${text} CHECK (outcome IN ('applied', 'refused')),
    code ${text},
    answered_at ${text},
    CHECK ((outcome IS NULL) = (answered_at IS NULL))
  ) ${tableEnd}`,
  'CREATE UNIQUE INDEX commands_position ON commands (site_id, position)',
  'CREATE INDEX commands_pending ON commands (site_id, position) WHERE outcome IS NULL',
  `CREATE TABLE findings (
    id ${text} PRIMARY KEY,
    site_id ${text} NOT NULL REFERENCES sites (id),
    code ${text} NOT NULL,
    message ${text} NOT NULL,
    at ${text} NOT NULL,
    resolved_at ${text}
  ) ${tableEnd}`,
  'CREATE INDEX findings_by_time ON findings (at, id)',
  'CREATE INDEX findings_of_site ON findings (site_id, at)',
];

const ledgerTables = ({ text, integer, tableEnd, keyedTableEnd }: ColumnTypes): string[] => [
  `CREATE TABLE site_ingest (
    site_id ${text} PRIMARY KEY REFERENCES sites (id),
    public_key ${text} NOT NULL,
    time_zone ${text} NOT NULL,
    head_seq ${integer} NOT NULL CHECK (head_seq >= 0),
    head_hash ${text} NOT NULL CHECK (length(head_hash) = 64),
    head_at ${text} NOT NULL,
    month ${text},
    period_start ${text},
    sealed ${integer} NOT NULL CHECK (sealed IN (0, 1)),
    meter_at ${text},
    server_count ${integer},
    server_peak ${integer},
    server_peak_at ${text},
    workstation_count ${integer},
    workstation_peak ${integer},
    workstation_peak_at ${text}
  ) ${keyedTableEnd}`,
  // The long text stands last, so that reading a hash does not walk through it.
  `CREATE TABLE site_log (
    site_id ${text} NOT NULL REFERENCES sites (id),
    seq ${integer} NOT NULL CHECK (seq >= 1),
    at ${text} NOT NULL,
    kind ${text} NOT NULL,
    hash ${text} NOT NULL CHECK (length(hash) = 64),
    received_at ${text} NOT NULL,
    text ${text} NOT NULL,
    PRIMARY KEY (site_id, seq)
  ) ${tableEnd}`,
  `CREATE TABLE deployments (
    site_id ${text} NOT NULL REFERENCES sites (id),
    deployed_seq ${integer} NOT NULL,
    endpoint_id ${text} NOT NULL,
    machine_id ${text} NOT NULL,
    host_name ${text} NOT NULL,
    kind ${text} NOT NULL CHECK (kind IN ('server', 'workstation')),
    origin ${text} NOT NULL CHECK (origin IN ('managed', 'standalone')),
    agent_version ${text} NOT NULL,
    deployed_at ${text} NOT NULL,
    removed_at ${text},
    removed_seq ${integer},
    removed_reason ${text},
    PRIMARY KEY (site_id, deployed_seq),
    CHECK (removed_at >= deployed_at),
    CHECK ((removed_at IS NULL) = (removed_seq IS NULL) AND (removed_at IS NULL) = (removed_reason IS NULL))
  ) ${tableEnd}`,
  'CREATE UNIQUE INDEX deployments_open ON deployments (site_id, endpoint_id) WHERE removed_at IS NULL',
  `CREATE TABLE month_counts (
    site_id ${text} NOT NULL REFERENCES sites (id),
    month ${text} NOT NULL,
    period_start ${text} NOT NULL,
    period_end ${text} NOT NULL,
    server_peak ${integer} NOT NULL CHECK (server_peak >= 0),
    server_peak_at ${text},
    workstation_peak ${integer} NOT NULL CHECK (workstation_peak >= 0),
    workstation_peak_at ${text},
    settled ${integer} NOT NULL CHECK (settled IN (0, 1)),
    PRIMARY KEY (site_id, month)
  ) ${keyedTableEnd}`,
  `CREATE TABLE report_revisions (
    site_id ${text} NOT NULL REFERENCES sites (id),
    month ${text} NOT NULL,
    revision ${integer} NOT NULL CHECK (revision >= 1),
    seq ${integer} NOT NULL,
    hash ${text} NOT NULL,
    agreeing ${integer} NOT NULL CHECK (agreeing IN (0, 1)),
    received_at ${text} NOT NULL,
    server_peak ${integer} NOT NULL CHECK (server_peak >= 0),
    workstation_peak ${integer} NOT NULL CHECK (workstation_peak >= 0),
    report ${text} NOT NULL,
    PRIMARY KEY (site_id, month, revision)
  ) ${tableEnd}`,
  'CREATE INDEX report_revisions_differing ON report_revisions (month, site_id) WHERE agreeing = 0',
];

/** Amounts are safe integers of JavaScript: 2^53 − 1 either side of zero. */
const amount = (integer: string, name: string): string =>
  `${name} ${integer} NOT NULL CHECK (${name} BETWEEN -9007199254740991 AND 9007199254740991)`;

const billingTables = ({ text, integer, tableEnd, keyedTableEnd }: ColumnTypes): string[] => [
  `CREATE TABLE agreements (
    id ${text} PRIMARY KEY,
    seller_id ${text} NOT NULL REFERENCES organisations (id),
    buyer_id ${text} NOT NULL REFERENCES organisations (id),
    programme ${text} NOT NULL CHECK (programme IN ('metered-peak')),
    currency ${text} NOT NULL CHECK (length(currency) = 3),
    ${amount(integer, 'server_unit_price_minor')},
    ${amount(integer, 'workstation_unit_price_minor')},
    tax_rate_percent ${text} NOT NULL,
    payment_term_days ${integer} NOT NULL CHECK (payment_term_days >= 0),
    time_zone ${text} NOT NULL,
    missing_report_policy ${text} NOT NULL CHECK (missing_report_policy IN ('hold', 'estimate')),
    valid_from ${text} NOT NULL CHECK (length(valid_from) = 7),
    created_at ${text} NOT NULL,
    CHECK (seller_id <> buyer_id)
  ) ${tableEnd}`,
  'CREATE UNIQUE INDEX agreements_edge ON agreements (seller_id, buyer_id, valid_from)',
  'CREATE INDEX agreements_by_buyer ON agreements (buyer_id)',
  `CREATE TABLE closes (
    seller_id ${text} NOT NULL REFERENCES organisations (id),
    buyer_id ${text} NOT NULL REFERENCES organisations (id),
    month ${text} NOT NULL,
    documents ${integer} NOT NULL CHECK (documents >= 0),
    PRIMARY KEY (seller_id, buyer_id, month)
  ) ${keyedTableEnd}`,
  `CREATE TABLE invoices (
    id ${text} PRIMARY KEY,
    kind ${text} NOT NULL CHECK (kind IN ('invoice', 'credit-note', 'debit-note')),
    state ${text} NOT NULL CHECK (state IN ('draft', 'finalised')),
    number ${text},
    position ${integer} CHECK (position >= 1),
    seller_id ${text} NOT NULL REFERENCES organisations (id),
    buyer_id ${text} NOT NULL REFERENCES organisations (id),
    seller_name ${text} NOT NULL,
    buyer_name ${text} NOT NULL,
    seller_address_lines ${text} NOT NULL,
    seller_country ${text} NOT NULL CHECK (length(seller_country) = 2),
    seller_tax_id ${text},
    buyer_address_lines ${text} NOT NULL,
    buyer_country ${text} NOT NULL CHECK (length(buyer_country) = 2),
    buyer_tax_id ${text},
    agreement_id ${text} NOT NULL REFERENCES agreements (id),
    month ${text} NOT NULL CHECK (length(month) = 7),
    currency ${text} NOT NULL CHECK (length(currency) = 3),
    ${amount(integer, 'net_minor')},
    tax_rate_percent ${text} NOT NULL,
    ${amount(integer, 'tax_minor')},
    ${amount(integer, 'gross_minor')},
    refers_to_id ${text} REFERENCES invoices (id),
    refers_to_number ${text},
    created_at ${text} NOT NULL,
    finalised_at ${text},
    due_on ${text},
    missing_reports ${integer} NOT NULL CHECK (missing_reports >= 0),
    missing_unbilled ${integer} NOT NULL CHECK (missing_unbilled BETWEEN 0 AND missing_reports),
    CHECK (gross_minor = net_minor + tax_minor),
    CHECK ((kind = 'invoice') = (refers_to_id IS NULL)),
    CHECK ((state = 'finalised') = (number IS NOT NULL)),
    CHECK ((state = 'finalised') = (position IS NOT NULL)),
    CHECK ((state = 'finalised') = (finalised_at IS NOT NULL))
  ) ${tableEnd}`,
  'CREATE UNIQUE INDEX invoices_number ON invoices (seller_id, number)',
  'CREATE UNIQUE INDEX invoices_position ON invoices (seller_id, buyer_id, month, position)',
  `CREATE UNIQUE INDEX invoices_one_draft ON invoices (seller_id, buyer_id, month) WHERE state = 'draft'`,
  `CREATE UNIQUE INDEX invoices_one_invoice ON invoices (seller_id, buyer_id, month) WHERE state = 'finalised' AND kind = 'invoice'`,
  'CREATE INDEX invoices_of_seller ON invoices (seller_id, created_at, id)',
  'CREATE INDEX invoices_of_buyer ON invoices (buyer_id, created_at, id)',
  // Whether a note refers to it is asked of every draft that is removed.
  'CREATE INDEX invoices_referring ON invoices (refers_to_id) WHERE refers_to_id IS NOT NULL',
  // Names and identifiers are copies of how things stood, so they refer to nothing but their document.
  `CREATE TABLE invoice_lines (
    invoice_id ${text} NOT NULL REFERENCES invoices (id),
    number ${integer} NOT NULL CHECK (number >= 1),
    msp_id ${text} NOT NULL,
    msp_name ${text} NOT NULL,
    account_id ${text} NOT NULL,
    account_name ${text} NOT NULL,
    site_id ${text} NOT NULL,
    site_name ${text} NOT NULL,
    month ${text} NOT NULL,
    kind ${text} NOT NULL CHECK (kind IN ('server', 'workstation')),
    quantity ${integer} NOT NULL,
    ${amount(integer, 'unit_price_minor')},
    ${amount(integer, 'net_minor')},
    basis ${text} NOT NULL CHECK (basis IN ('report', 'estimate', 'withdrawn')),
    revision ${integer},
    counted_up_to ${integer} CHECK (counted_up_to >= 0),
    PRIMARY KEY (invoice_id, number),
    CHECK (basis = 'report' OR revision IS NULL),
    CHECK ((basis = 'estimate') = (counted_up_to IS NOT NULL))
  ) ${tableEnd}`,
];

const ofFinalised = (row: 'OLD' | 'NEW'): string =>
  `EXISTS (SELECT 1 FROM invoices WHERE id = ${row}.invoice_id AND state = 'finalised')`;

const guards = (dialect: Dialect): string[] => [
  ...rowGuardSql(dialect, {
    name: 'site_log_no_update',
    table: 'site_log',
    event: 'UPDATE',
    when: null,
    says: 'a ledger entry never changes',
  }),
  ...rowGuardSql(dialect, {
    name: 'site_log_no_delete',
    table: 'site_log',
    event: 'DELETE',
    when: null,
    says: 'a ledger entry is never removed',
  }),
  ...rowGuardSql(dialect, {
    name: 'report_no_update',
    table: 'report_revisions',
    event: 'UPDATE',
    when: null,
    says: 'a report never changes',
  }),
  ...rowGuardSql(dialect, {
    name: 'report_no_delete',
    table: 'report_revisions',
    event: 'DELETE',
    when: null,
    says: 'a report is never removed',
  }),
  ...rowGuardSql(dialect, {
    name: 'invoice_no_update',
    table: 'invoices',
    event: 'UPDATE',
    when: `OLD.state = 'finalised'`,
    says: 'a finalised document never changes',
  }),
  ...rowGuardSql(dialect, {
    name: 'invoice_no_delete',
    table: 'invoices',
    event: 'DELETE',
    when: `OLD.state = 'finalised'`,
    says: 'a finalised document is never removed',
  }),
  ...rowGuardSql(dialect, {
    name: 'invoice_line_no_insert',
    table: 'invoice_lines',
    event: 'INSERT',
    when: ofFinalised('NEW'),
    says: 'a finalised document gets no lines',
  }),
  ...rowGuardSql(dialect, {
    name: 'invoice_line_no_update',
    table: 'invoice_lines',
    event: 'UPDATE',
    when: `${ofFinalised('OLD')} OR ${ofFinalised('NEW')}`,
    says: 'a line of a finalised document never changes',
  }),
  ...rowGuardSql(dialect, {
    name: 'invoice_line_no_delete',
    table: 'invoice_lines',
    event: 'DELETE',
    when: ofFinalised('OLD'),
    says: 'a line of a finalised document is never removed',
  }),
  ...replaceGuardSql(dialect, {
    name: 'site_log_no_replace',
    table: 'site_log',
    same: 'site_id = NEW.site_id AND seq = NEW.seq',
    says: 'a ledger entry never changes',
  }),
  ...replaceGuardSql(dialect, {
    name: 'report_no_replace',
    table: 'report_revisions',
    same: 'site_id = NEW.site_id AND month = NEW.month AND revision = NEW.revision',
    says: 'a report never changes',
  }),
  // By each of its unique rules a row could be the one that is replaced.
  ...[
    'id = NEW.id',
    'seller_id = NEW.seller_id AND number = NEW.number',
    'seller_id = NEW.seller_id AND buyer_id = NEW.buyer_id AND month = NEW.month AND position = NEW.position',
    `seller_id = NEW.seller_id AND buyer_id = NEW.buyer_id AND month = NEW.month AND kind = 'invoice' AND NEW.kind = 'invoice' AND NEW.state = 'finalised'`,
  ].flatMap((same, index) =>
    replaceGuardSql(dialect, {
      name: `invoice_no_replace_${index + 1}`,
      table: 'invoices',
      same: `state = 'finalised' AND ${same}`,
      says: 'a finalised document never changes',
    }),
  ),
  ...truncateGuardSql(dialect, ['site_log', 'report_revisions', 'invoices', 'invoice_lines']),
];
