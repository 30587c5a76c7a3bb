/**
 * Every node-cron line of the Site Manager. A tick only wakes the program up; what is due is asked of stored state, so a tick that
 * is missed, late or double changes nothing.
 */

/** Calls `wake` at each minute; the result ends that. */
export async function startSchedule(wake: () => void): Promise<() => Promise<void>> {
  // node-cron loses hours at clock changes in any other zone, and reads the zone when it is imported.
  process.env['TZ'] = 'UTC';
  const { schedule } = await import('node-cron');
  const task = schedule('* * * * *', wake, { name: 'minute', unref: true, suppressMissedWarning: true });
  return async () => {
    await task.destroy();
  };
}
