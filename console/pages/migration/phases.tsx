/** The phase of the traffic, and the changes of it that lose nothing. */
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { hasRole } from "../../api/session.ts";
import { Button } from "../../kit/button.tsx";
import { ask } from "../../operators/ask.tsx";
import { Facts } from "../../operators/table.tsx";
import { operatorTexts } from "../../operators/texts.ts";

type Traffic = Schemas["Traffic"];

const phases = ["old", "shadow", "canary", "holding", "new"] as const;

/** Phases that may follow by hand. Every other change is made by a cut-over or a rollback. */
const followers: Record<Traffic["phase"], readonly ("old" | "shadow" | "canary")[]> = {
  old: ["shadow"],
  shadow: ["canary", "old"],
  canary: ["canary", "shadow", "old"],
  holding: [],
  new: [],
};

export function Phases({ traffic, reload }: { traffic: Traffic; reload: () => void }) {
  const { migration: t, label } = operatorTexts.value;
  const { phase, share, version } = traffic;
  const change = (to: "old" | "shadow" | "canary") =>
    ask({
      title: t.to[to],
      text: t.effects[to],
      fields: [
        ...to === "canary"
          ? [{ name: "share", label: label("share"), value: String(share || 5), kind: "number" as const }]
          : [],
        { name: "reason", label: label("reason"), value: "" },
      ],
      run: ({ share, reason }) =>
        unwrap(v2.PATCH("/api/v2/system/traffic", {
          body: { phase: to, reason: reason!, ...(to === "canary" && { share: Number(share) }) },
          headers: { "if-match": `W/"traffic-${version}"` },
        })),
      then: reload,
    });
  return (
    <div class="panel stack">
      <ol class="migration-phases">
        {phases.map((name) => (
          <li key={name} aria-current={name === phase ? "step" : undefined}>{t.phases[name]}</li>
        ))}
      </ol>
      <Facts of={traffic} columns={["share", "changed_by", "changed_at", "reason"]} />
      {hasRole("admin") && (
        <div class="row">
          {followers[phase].map((to) => <Button key={to} onClick={() => change(to)}>{t.to[to]}</Button>)}
        </div>
      )}
    </div>
  );
}
