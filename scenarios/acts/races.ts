/** Acts that do several things at once, again and again, and count how they end. */
import { spawn } from 'node:child_process';
import * as hlsim from 'hlsim';
import { SUBMISSION_TIMEOUT_US } from './device.ts';
import { nameOf, sleep } from './pause.ts';
import { ALL_RIGHTS, type Verbs } from './verbs.ts';

/** How often a host that was stopped is looked after. */
const WAKE_LOOK_MS = 20;

export const RACE_ACTS = {
  /** `count` submissions at once, each waited for twice: how many waits ended how. */
  async raceSubmissions(fd: number, source: number, destination: number, count: number) {
    const endings: Record<string, number> = {};
    const waits: Promise<string>[] = [];
    for (let index = 0; index < count; index++) {
      const sequence = await hlsim.hlthunk_command_submission(fd, [
        { kind: 'dma', source, destination, bytes: 4096 },
      ]);
      for (let wait = 0; wait < 2; wait++) {
        waits.push(hlsim.hlthunk_wait_for_cs(fd, sequence, SUBMISSION_TIMEOUT_US));
      }
    }
    for (const ending of await Promise.all(waits)) endings[ending] = (endings[ending] ?? 0) + 1;
    return endings;
  },

  /** Exports while another call closes the number that the export will get, `rounds` times. */
  async raceExport(fd: number, address: number, bytes: number, guess: number, rounds: number) {
    const endings: Record<string, number> = {};
    for (let round = 0; round < rounds; round++) {
      const closing = round % 2 === 0 ? nameOf(hlsim.hlthunk_close(guess)) : undefined;
      const exporting = hlsim.hlthunk_device_mapped_memory_export_dmabuf_fd(fd, address, bytes);
      const closed = await (closing ?? nameOf(hlsim.hlthunk_close(guess)));
      const exported = await exporting;
      const left = await nameOf(hlsim.hlthunk_close(exported));
      const ending = `close of the guess ${closed}, close of the export ${left}`;
      endings[ending] = (endings[ending] ?? 0) + 1;
    }
    return endings;
  },

  /** Opens, exports, registers; then closes the device and deregisters at once. How each ended. */
  async raceDeregistration(rounds: number) {
    const endings: Record<string, number> = {};
    const context = await hlsim.ibv_open_device();
    const pd = await hlsim.ibv_alloc_pd(context);
    for (let round = 0; round < rounds; round++) {
      const fd = await openSoon(0);
      const address = await hlsim.allocateDevice(fd, 65_536);
      const dmaBuf = await hlsim.hlthunk_device_mapped_memory_export_dmabuf_fd(fd, address, 65_536);
      const mr = await hlsim.ibv_reg_dmabuf_mr(pd, 0, 65_536, 0, dmaBuf, ALL_RIGHTS);
      await hlsim.closeDescriptor(dmaBuf);
      const calls = [() => nameOf(hlsim.ibv_dereg_mr(mr)), () => nameOf(hlsim.hlthunk_close(fd))];
      const [first, second] = round % 2 === 0 ? calls : calls.toReversed();
      const [one, other] = await Promise.all([first?.(), second?.()]);
      const [deregistered, closed] = round % 2 === 0 ? [one, other] : [other, one];
      const ending = `deregistered ${deregistered}, closed ${closed}`;
      endings[ending] = (endings[ending] ?? 0) + 1;
    }
    await hlsim.ibv_close_device(context);
    return endings;
  },

  async exportAndClose(fd: number, address: number, bytes: number, rounds: number) {
    for (let round = 0; round < rounds; round++) {
      await hlsim.closeDescriptor(
        await hlsim.hlthunk_device_mapped_memory_export_dmabuf_fd(fd, address, bytes),
      );
    }
  },

  async registerAndImport(
    verbs: Verbs,
    device: number,
    dmaBuf: number,
    bytes: number,
    rounds: number,
  ) {
    for (let round = 0; round < rounds; round++) {
      const [mr, imported] = await Promise.all([
        hlsim.ibv_reg_dmabuf_mr(verbs.pd, 0, bytes, 0, dmaBuf, ALL_RIGHTS),
        hlsim.hlthunk_import_dmabuf_fd(device, dmaBuf, bytes),
      ]);
      await Promise.all([hlsim.ibv_dereg_mr(mr), hlsim.hlthunk_memory_unmap(device, imported)]);
    }
  },

  /** Stops the whole host process for a while, as a debugger or a full machine does. */
  async freezeHost(milliseconds: number) {
    // Looks again and again, so that it does not outlive a host that is killed meanwhile.
    const looks = Math.ceil(milliseconds / WAKE_LOOK_MS);
    const look = `sleep ${WAKE_LOOK_MS / 1000}; i=$((i + 1))`;
    const pid = process.pid;
    const wake = `i=0; while [ $i -lt ${looks} ] && kill -0 ${pid}; do ${look}; done; kill -CONT ${pid}`;
    spawn('sh', ['-c', wake], { detached: true, stdio: 'ignore' }).unref();
    // The answer of this act goes out first.
    void sleep(20).then(() => process.kill(process.pid, 'SIGSTOP'));
  },
} as const;

async function openSoon(device: number): Promise<number> {
  for (let trial = 0; trial < 1_000; trial++) {
    try {
      return await hlsim.hlthunk_open(device);
    } catch (reason) {
      if ((reason as hlsim.SystemCallError).code !== 'EAGAIN') throw reason;
      await sleep(5);
    }
  }
  return hlsim.hlthunk_open(device);
}
