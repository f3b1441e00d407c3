// Who is signed in, where Scale asks for it. Changes carry the token that no page of others can know.
import { signal } from "@preact/signals";

export interface Session {
  access_control: { is_on: boolean; reason: string; sign_on: string | null };
  account: { id: number | null; name: string; role: string; via: string } | null;
  csrf_token: string | null;
}

/** undefined until it is known. */
export const session = signal<Session | undefined>(undefined);

/** Whether nothing can be shown before somebody has signed in. */
export function mustSignIn(): boolean {
  const { value } = session;
  return !!value?.access_control.is_on && !value.account;
}

export const ROLES = ["viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Whether who is signed in has this role or a greater one; where nobody is asked, everybody may everything. */
export function may(role: Role): boolean {
  const { value } = session;
  if (!value?.access_control.is_on) return true;
  return ROLES.indexOf(value.account?.role as Role) >= ROLES.indexOf(role);
}

/** What every change has to be sent with. */
export function changeHeaders(): Record<string, string> {
  const token = session.value?.csrf_token;
  return token ? { "X-CSRF-Token": token } : {};
}

/** Somebody was told to sign in: the session has ended, here or elsewhere. */
export function hasEnded(): void {
  const { value } = session;
  if (value?.account) session.value = { ...value, account: null, csrf_token: null };
  else if (value && !value.access_control.is_on)
    session.value = { ...value, access_control: { ...value.access_control, is_on: true } };
}
