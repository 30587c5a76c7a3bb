/** Aggregator → site: the settings as they are now. */
import { z } from 'zod';
import { SiteSettings } from '../domain/site-settings.ts';

export const SettingsMessage = z.object({ kind: z.literal('settings'), settings: SiteSettings });
export type SettingsMessage = z.infer<typeof SettingsMessage>;
