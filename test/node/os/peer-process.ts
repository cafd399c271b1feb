/** Another process of the machine (`peer.js`), which maps what it is sent and does as it is told. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { delay, wallScheduler } from '../../../common/scheduler.ts';
import type {
  OperatingSystem,
  UnixChannel,
  UnixListener,
} from '../../../node/os/operating-system.ts';

const PROGRAM = fileURLToPath(new URL('./peer.js', import.meta.url));

let lastName = 0;

/** A name that no other test of the machine uses. */
export function uniqueName(): string {
  return `hlsim-test-${process.pid}-${++lastName}`;
}

export class PeerProcess {
  readonly channel: UnixChannel;
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess, channel: UnixChannel) {
    this.#process = child;
    this.channel = channel;
  }

  /** A process that is connected. */
  static async start(os: OperatingSystem): Promise<PeerProcess> {
    const name = uniqueName();
    const listener = os.listen(name);
    const child = fork(PROGRAM, [name], { execArgv: [] });
    try {
      return new PeerProcess(child, await accepted(listener, child));
    } finally {
      listener.close();
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async call(command: string, argument?: number | string): Promise<unknown> {
    const answer = once(this.#process, 'message');
    this.#process.send({ command, argument });
    const [message] = (await answer) as [{ result: unknown }];
    return message.result;
  }

  async end(): Promise<void> {
    const exit = once(this.#process, 'exit');
    this.#process.disconnect();
    await exit;
    this.channel.close();
  }
}

async function accepted(listener: UnixListener, child: ChildProcess): Promise<UnixChannel> {
  for (;;) {
    const channel = listener.accept();
    if (channel !== undefined) return channel;
    if (child.exitCode !== null) throw new Error(`the peer ended with ${child.exitCode}`);
    await delay(wallScheduler, 1);
  }
}
