/** A heartbeat for programs that run under stay. */

export interface PulseOptions {
  /** The longest silence, in seconds. 0 or none: the one configured for the service. */
  limit?: number;
  /**
   * The slot to take, and no other. A worker thread has to name one, of its own; the main thread of a process does not: it
   * takes slot 0, or a free one if another process has that.
   */
  slot?: number;
}

/** One heartbeat: a slot of the page, from its construction (which beats) until close. For one event loop. */
export class Pulse {
  /** @param name which loop this is, up to 24 bytes of UTF-8; more are cut. */
  constructor(name: string, options?: PulseOptions);

  readonly name: string;

  /** Why stay does not see this pulse; null: it does. */
  readonly why: string | null;

  /** Says: this loop is alive. One positioned write. */
  beat(): void;

  /** Stores a number that grows when real work is done, and says busy: a beat if it was idle or paused, else none. */
  progress(n: number | bigint): void;

  /** Says what is being done now, up to 64 bytes of UTF-8; stay shows it. It is no beat. */
  note(text: string): void;

  /** Beats, and says that there is nothing to do: beats are still expected, progress is not. */
  idle(): void;

  /** Beats, and ends idle. */
  busy(): void;

  /** Says that no beat comes until resume. It is no beat. */
  pause(): void;

  /** Beats, and ends a pause. */
  resume(): void;

  /** Beats that many seconds in advance, at most the service's extend_max. The next beat ends it. */
  extend(seconds: number): void;

  /** Gives the slot back. After that, and once more, every method does nothing. */
  close(): void;
}
