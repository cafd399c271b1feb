/**
 * What people and scripts see. Results go to stdout, everything else to stderr, so that
 * `hlsim bench ... > table.txt` holds the table alone.
 */
import process from 'node:process';
import picocolors from 'picocolors';
import type { Clock } from '../common/clock.ts';

/** Where stderr is no terminal, at most one line of progress in this time. */
const PROGRESS_INTERVAL_MS = 2_000;
/** Cursor to the upper left corner, and everything after it erased (ECMA-48 CUP, ED). */
const CLEAR_SCREEN = '\u001b[H\u001b[J';
const CLEAR_LINE = '\r\u001b[K';

export interface Terminal {
  /** A line of results. */
  result(line: string): void;
  /** Results in the place of all that stdout shows; elsewhere than on a terminal, after an empty line. */
  screen(text: string): void;
  /** A line for people: what happens, what went wrong. */
  note(line: string): void;
  /** What is going on now. Replaces the last such text on a terminal; elsewhere a line now and then. */
  progress(text: string): void;
  /** Takes the progress text away. */
  settle(): void;
  /** `text` in a colour that says "wrong", where stderr shows colours. */
  alarm(text: string): string;
}

export function openTerminal(clock: Clock): Terminal {
  const { stdout, stderr } = process;
  const colors = picocolors.createColors(stderr.isTTY && picocolors.isColorSupported);
  let shown = '';
  let lastMs = Number.NEGATIVE_INFINITY;
  const hide = (): void => {
    if (shown !== '') stderr.write(CLEAR_LINE);
  };
  const show = (): void => {
    if (shown !== '') stderr.write(shown.slice(0, Math.max(1, (stderr.columns || 80) - 1)));
  };
  /** Prints around the progress line, which keeps the last place on the screen. */
  const around = (print: () => void): void => {
    hide();
    print();
    show();
  };
  return {
    result: (line) => around(() => stdout.write(`${line}\n`)),
    screen: (text) =>
      around(() => stdout.write(stdout.isTTY ? `${CLEAR_SCREEN}${text}\n` : `\n${text}\n`)),
    note: (line) => around(() => stderr.write(`${line}\n`)),
    progress(text) {
      if (stderr.isTTY) {
        hide();
        shown = text;
        show();
      } else if (clock.now() - lastMs >= PROGRESS_INTERVAL_MS) {
        lastMs = clock.now();
        stderr.write(`${text}\n`);
      }
    },
    settle() {
      hide();
      shown = '';
    },
    alarm: (text) => colors.red(text),
  };
}
