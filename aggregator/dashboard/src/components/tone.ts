// How something stands, as a colour says it; the words beside it say it too.

type Tone = 'good' | 'bad' | 'warn' | 'calm';

export type Standing = { tone: Tone; label: string };
