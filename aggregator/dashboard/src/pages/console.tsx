// What somebody signed in sees: whose console it is, and its three lists. Which one is open stands behind the # of the address.
import type { OrganisationKind } from '@rollcall/shared/domain/organisation.ts';
import { Button, Skeleton, Tabs } from '@mantine/core';
import { useHash } from '@mantine/hooks';
import { QueryClientProvider, useQuery } from '@tanstack/react-query';
import { type ComponentType, useState } from 'react';
import { type ApiClient, type ApiError, createApiClient } from '../api/client.ts';
import { ConnectionContext } from '../api/connection.ts';
import { createQueryClient } from '../api/query-client.ts';
import { readMe } from '../api/resources.ts';
import { nowMs } from '../clock.ts';
import { Mark, SignOutIcon } from '../components/icon.tsx';
import { ProblemNote } from '../components/problem-note.tsx';
import classes from './console.module.css';
import { InvoicesPage } from './invoices.tsx';
import { ReportsPage } from './reports.tsx';
import { SitesPage } from './sites.tsx';
import { tokenFault } from './token-fault.ts';

const views: readonly { name: string; title: string; Page: ComponentType }[] = [
  { name: 'sites', title: 'Sites', Page: SitesPage },
  { name: 'reports', title: 'Deployed Agents Reports', Page: ReportsPage },
  { name: 'invoices', title: 'Invoices', Page: InvoicesPage },
];

const kindNames: Record<OrganisationKind, string> = { vendor: 'Vendor', distributor: 'Distributor', msp: 'MSP' };

type ConsoleProps = {
  token: string;
  /** `notice`: why, when it was not the reader's wish. */
  onSignedOut: (notice: string | null) => void;
};

/** One sign-in. Mounted anew for each token, so that nothing of one is seen under another. */
export function Console({ token, onSignedOut }: ConsoleProps) {
  const [client] = useState(() => createApiClient({ origin: '', token, fetch: (...call) => fetch(...call), nowMs }));
  const [queries] = useState(() =>
    createQueryClient((error) => onSignedOut(`You were signed out. ${tokenFault(error)}`)),
  );
  return (
    <QueryClientProvider client={queries}>
      <Frame
        client={client}
        onSignOut={() => {
          queries.clear();
          onSignedOut(null);
        }}
      />
    </QueryClientProvider>
  );
}

function Frame({ client, onSignOut }: { client: ApiClient; onSignOut: () => void }) {
  const me = useQuery<Awaited<ReturnType<typeof readMe>>, ApiError>({
    queryKey: ['me'],
    queryFn: ({ signal }) => readMe(client, signal),
    staleTime: 5 * 60_000,
  });
  const [hash, setHash] = useHash({ getInitialValueInEffect: false });
  const open = views.find(({ name }) => hash === `#${name}`) ?? views[0];
  const organisation = me.data?.value.organisation;

  return (
    <Tabs
      value={open?.name ?? null}
      onChange={(name) => setHash(`#${name ?? ''}`)}
      keepMounted={false}
      classNames={{ list: classes.tabs, tab: classes.tab }}
    >
      <header className={classes.header}>
        <div className={classes.bar}>
          <Mark size={30} />
          <div className={classes.who}>
            {organisation === undefined ? (
              <Skeleton height={14} width={180} radius="xl" />
            ) : (
              <>
                <h1 className={classes.name}>{organisation.name}</h1>
                <span className={classes.kind}>{kindNames[organisation.kind]}</span>
              </>
            )}
          </div>
          <Button
            className={classes.signOut}
            variant="subtle"
            color="gray"
            size="sm"
            leftSection={<SignOutIcon />}
            onClick={onSignOut}
          >
            Sign out
          </Button>
        </div>
        <Tabs.List aria-label="Views">
          {views.map(({ name, title }) => (
            <Tabs.Tab key={name} value={name}>
              {title}
            </Tabs.Tab>
          ))}
        </Tabs.List>
      </header>
      <main className={classes.main}>
        {organisation === undefined ? (
          me.error && <ProblemNote error={me.error} retry={{ act: () => void me.refetch(), busy: me.isFetching }} />
        ) : (
          <ConnectionContext value={{ client, organisation }}>
            {views.map(({ name, Page }) => (
              <Tabs.Panel key={name} value={name}>
                <Page />
              </Tabs.Panel>
            ))}
          </ConnectionContext>
        )}
      </main>
    </Tabs>
  );
}
