// The list of sites: whether each is heard from, and what stands deployed there now.
import type { SiteView } from '@rollcall/shared/api/site.ts';
import { useConnection } from '../api/connection.ts';
import { useNames } from '../api/directory.ts';
import { accounts, organisations, sites } from '../api/resources.ts';
import { useRowList } from '../api/row-list.ts';
import { ListView } from '../components/list-view.tsx';
import { type Column, Figure, Nothing, TwoLines } from '../components/row-table.tsx';
import { StandingTag } from '../components/standing-tag.tsx';
import { TimeAgo } from '../components/time-ago.tsx';
import { codeText } from '../format/code-text.ts';
import { siteStanding } from './site-standing.ts';

export function SitesPage() {
  const { organisation } = useConnection();
  const list = useRowList(sites);
  const rows = list.rows ?? [];
  const isMsp = organisation.kind === 'msp';
  const accountNames = useNames(
    accounts,
    rows.map(({ accountId }) => accountId),
  );
  const mspNames = useNames(organisations, isMsp ? [] : rows.map(({ mspId }) => mspId));

  const columns: Column<SiteView>[] = [
    { title: 'Site', cell: (site) => <TwoLines first={site.name} second={site.timeZone} /> },
    {
      title: 'Account',
      wide: true,
      cell: (site) => {
        const account = accountNames.get(site.accountId) ?? '…';
        return isMsp ? account : <TwoLines first={account} second={mspNames.get(site.mspId) ?? '…'} />;
      },
    },
    {
      title: 'Status',
      compact: true,
      cell: (site) => <StandingTag {...siteStanding(site, list.answeredAtMs)} />,
    },
    {
      title: 'Last contact',
      compact: true,
      cell: ({ lastContactAt }) =>
        lastContactAt === null ? (
          <Nothing why="No Site Manager was heard from yet" />
        ) : (
          <TimeAgo instant={lastContactAt} nowMs={list.answeredAtMs} />
        ),
    },
    { title: 'Servers', align: 'end', cell: ({ deployed }) => <Figure value={deployed.server} /> },
    { title: 'Workstations', align: 'end', cell: ({ deployed }) => <Figure value={deployed.workstation} /> },
    {
      title: 'Flag',
      compact: true,
      cell: ({ flag }) =>
        flag === null ? <Nothing why="No flag" /> : <StandingTag tone="bad" label={codeText(flag)} />,
    },
    {
      title: 'Software',
      compact: true,
      cell: ({ software }) => software ?? <Nothing why="Not known before the first contact" />,
    },
  ];

  return (
    <ListView
      title="Sites"
      about="Each site with the agents deployed there now, as its ledger says."
      list={list}
      columns={columns}
      keyOf={({ id }) => id}
      empty={{
        title: 'No sites yet',
        next: (
          <>
            Make an enrolment token for an account, then enrol a Site Manager with it on a machine at the site. The site
            stands here as soon as it is enrolled.
            <code>rollcall enrolment-token create --account acc_…</code>
            <code>rollcall-site enrol --server {location.origin} --token-file token.txt --site-name NAME</code>
          </>
        ),
      }}
    />
  );
}
