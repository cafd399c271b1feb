/** Calls that concern the job: barrier, store, reports, and HCCL's hold on a program's memory. */
import { z } from 'zod';
import { type CallHost, parse } from './call-host.ts';

const setArgument = z.object({ key: z.string(), value: z.string() });
const getArgument = z.object({ key: z.string() });
const reportArgument = z.object({ json: z.string() });
const dropArgument = z.object({ fd: z.int(), address: z.number() });

export function registerJobCalls(host: CallHost): void {
  const { services } = host;
  host.register('jobBarrier', async (caller) => {
    await services.barrier(host.jobRank(caller));
  });
  host.register('storeSet', (caller, argument) => {
    const { key, value } = parse(setArgument, argument);
    services.storeSet(host.jobRank(caller), key, value);
  });
  host.register('storeGet', (caller, argument) => {
    const { key } = parse(getArgument, argument);
    return services.storeGet(host.jobRank(caller), key);
  });
  host.register('reportResult', (caller, argument) => {
    const { json } = parse(reportArgument, argument);
    services.report(host.jobRank(caller), json);
  });
  host.register('hcclDropRegistration', async (caller, argument) => {
    const { fd, address } = parse(dropArgument, argument);
    await host.state(caller).existingSession(fd)?.drop(address);
  });
}
