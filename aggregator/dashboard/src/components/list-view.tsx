// A list from its first request on: skeleton, rows with "show more", what to do when it is empty, what went wrong.
import { ActionIcon, Button, Skeleton } from '@mantine/core';
import { type ReactNode, useId } from 'react';
import { listRowsMax, type RowList } from '../api/row-list.ts';
import { language } from '../format/language.ts';
import { clockTime } from '../format/time-text.ts';
import { RefreshIcon } from './icon.tsx';
import classes from './list-view.module.css';
import { ProblemNote } from './problem-note.tsx';
import { type Column, RowTable } from './row-table.tsx';

type ListViewProps<Row> = {
  title: string;
  /** One sentence on what the list shows. */
  about: string;
  list: RowList<Row>;
  columns: readonly Column<Row>[];
  keyOf: (row: Row) => string;
  empty: { title: string; next: ReactNode };
  /** What can be done with the list as a whole; offered once there are rows. */
  action?: ReactNode;
};

const skeletonRows = ['a', 'b', 'c', 'd', 'e', 'f'];

export function ListView<Row>({ title, about, list, columns, keyOf, empty, action }: ListViewProps<Row>) {
  const { rows, error } = list;
  const titleId = useId();
  return (
    <section className={classes.view} aria-labelledby={titleId} aria-busy={rows === undefined && !error}>
      <header className={classes.header}>
        <div className={classes.words}>
          <h2 className={classes.title} id={titleId}>
            {title}
          </h2>
          <p className={classes.about}>{about}</p>
        </div>
        <div className={classes.updated}>
          {rows !== undefined && rows.length > 0 && action}
          {list.updatedAtMs > 0 && <span className={classes.updatedAt}>Updated {clockTime(list.updatedAtMs)}</span>}
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={`Refresh ${title}`}
            className={list.refreshing ? classes.busy : undefined}
            onClick={list.refresh}
          >
            <RefreshIcon />
          </ActionIcon>
        </div>
      </header>
      {error && (
        <ProblemNote
          error={error}
          {...(rows === undefined ? {} : { consolation: 'Shown is what was last received.' })}
          retry={{ act: list.refresh, busy: list.refreshing }}
        />
      )}
      {rows === undefined && !error && <Waiting />}
      {rows !== undefined && rows.length === 0 && (
        <div className={classes.empty}>
          <p className={classes.emptyTitle}>{empty.title}</p>
          <div className={classes.emptyNext}>{empty.next}</div>
        </div>
      )}
      {rows !== undefined && rows.length > 0 && (
        <>
          <RowTable caption={title} columns={columns} rows={rows} keyOf={keyOf} />
          <Foot list={list} count={rows.length} />
        </>
      )}
    </section>
  );
}

function Foot<Row>({ list: { more }, count }: { list: RowList<Row>; count: number }) {
  if (more?.kind === 'full')
    return (
      <p className={classes.foot}>
        The first {listRowsMax.toLocaleString(language)} are shown. The API has all of them.
      </p>
    );
  return (
    <div className={classes.foot}>
      <span>
        {more === null ? 'All' : 'The first'} {count.toLocaleString(language)} shown
      </span>
      {more !== null && (
        <Button variant="default" size="sm" loading={more.loading} onClick={more.load}>
          Show more
        </Button>
      )}
    </div>
  );
}

function Waiting() {
  return (
    <div className={classes.waiting}>
      <span className={classes.hidden} role="status">
        Loading
      </span>
      {skeletonRows.map((row) => (
        <div key={row} className={classes.waitingRow} aria-hidden="true">
          <Skeleton height={12} radius="xl" className={classes.waitingWide} />
          <Skeleton height={12} radius="xl" />
          <Skeleton height={12} radius="xl" />
        </div>
      ))}
    </div>
  );
}
