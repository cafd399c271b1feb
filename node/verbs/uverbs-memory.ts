/** The verbs device's requests about protection domains and memory regions. */
import { isErrno } from '../../common/errno.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { errnoFailure } from '../process/system-call.ts';
import { field, integerField, type SystemCallRecord } from '../process/system-call-argument.ts';
import { ibv_alloc_pd, ibv_dealloc_pd } from './context.ts';
import { type IbvMr, ibv_dereg_mr, ibv_reg_dmabuf_mr, ibv_reg_mr, ibv_rereg_mr } from './mr.ts';
import { accessField, dmaBufModeField } from './uverbs-arguments.ts';
import { create, objectField, reserve, succeed, type UverbsHandler } from './uverbs-request.ts';

export const allocPd: UverbsHandler = (file) => {
  const { handle } = create(file.pds, 'ibv_alloc_pd', () => ibv_alloc_pd(file.context));
  return { handle };
};

export const deallocPd: UverbsHandler = (file, _caller, argument) => {
  const pd = objectField(file.pds, argument, 'pd');
  succeed(ibv_dealloc_pd(pd), 'ibv_dealloc_pd');
  file.pds.delete(integerField(argument, 'pd'));
  return undefined;
};

/** EFAULT: some of the range is not memory of the caller. */
export const regMr: UverbsHandler = (file, caller, argument) => {
  const pd = objectField(file.pds, argument, 'pd');
  const access = accessField(argument, 'access');
  const what = 'ibv_reg_mr';
  const { bytes, iova } = translation(caller, argument, what);
  const { handle, object } = create(file.mrs, what, () => ibv_reg_mr(pd, bytes, iova, access));
  return described(handle, object);
};

/** The descriptor is one of the caller's, who answers for the memory from now on. */
export const regDmaBufMr: UverbsHandler = async (file, caller, argument) => {
  const pd = objectField(file.pds, argument, 'pd');
  const offset = integerField(argument, 'offset');
  const length = integerField(argument, 'length');
  const iova = integerField(argument, 'iova');
  const fd = integerField(argument, 'fd');
  const access = accessField(argument, 'access');
  const hasMode = field(argument, 'mode') !== undefined;
  const mode = hasMode ? dmaBufModeField(argument, 'mode') : undefined;
  const what = `ibv_reg_dmabuf_mr of fd ${fd}, ${length} bytes from ${offset}`;
  reserve(file.mrs, what);
  const mr = await file.actingFor(caller, () =>
    ibv_reg_dmabuf_mr(pd, offset, length, iova, fd, access, mode),
  );
  if (isErrno(mr)) {
    file.mrs.unreserve();
    throw errnoFailure(mr, what);
  }
  return described(file.mrs.add(mr), mr);
};

/** New range of the caller's memory, new domain, new rights, or several of these. */
export const reregMr: UverbsHandler = (file, caller, argument) => {
  const mr = objectField(file.mrs, argument, 'mr');
  const has = (name: string) => field(argument, name) !== undefined;
  const what = 'ibv_rereg_mr';
  const change = {
    ...(has('address') && { translation: translation(caller, argument, what) }),
    ...(has('pd') && { pd: objectField(file.pds, argument, 'pd') }),
    ...(has('access') && { access: accessField(argument, 'access') }),
  };
  const error = ibv_rereg_mr(mr, change);
  if (error !== undefined) throw errnoFailure('EINVAL', `${what}: ${error}`);
  return described(integerField(argument, 'mr'), mr);
};

export const deregMr: UverbsHandler = async (file, _caller, argument) => {
  const mr = objectField(file.mrs, argument, 'mr');
  file.mrs.delete(integerField(argument, 'mr'));
  await ibv_dereg_mr(mr);
  return undefined;
};

export const queryMr: UverbsHandler = (file, _caller, argument) => ({
  state: objectField(file.mrs, argument, 'mr').state,
});

/** Memory of the caller, under its own addresses. */
function translation(caller: SimProcess, argument: SystemCallRecord, what: string) {
  const iova = integerField(argument, 'address');
  const length = integerField(argument, 'length');
  const bytes = caller.userBytes(iova, length);
  if (bytes === undefined) throw errnoFailure('EFAULT', `${what} of ${length} bytes at ${iova}`);
  return { bytes, iova };
}

function described(handle: number, { lkey, rkey, addr, length }: IbvMr) {
  return { handle, lkey, rkey, addr, length };
}
