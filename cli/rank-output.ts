/** What the ranks' programs print, line by line behind the rank that printed it. */
import type { JobListener } from './job-client.ts';
import { LineSplitter } from './lines.ts';
import type { Terminal } from './terminal.ts';

export interface RankOutput {
  readonly listener: Pick<JobListener, 'accepted' | 'output'>;
  /** Prints what the programs left without a newline. */
  flush(): void;
}

/** stdout of a program goes to stdout, stderr to stderr. */
export function rankOutput(terminal: Terminal): RankOutput {
  const splitters = new Map<string, LineSplitter>();
  return {
    listener: {
      accepted: () => terminal.settle(),
      output(rank, stream, text) {
        const key = `${rank} ${stream}`;
        let splitter = splitters.get(key);
        if (splitter === undefined) {
          const print = stream === 'stdout' ? terminal.result : terminal.note;
          splitter = new LineSplitter((line) => print(`[${rank}] ${line}`));
          splitters.set(key, splitter);
        }
        splitter.push(text);
      },
    },
    flush() {
      for (const splitter of splitters.values()) splitter.flush();
    },
  };
}
