"""The style sheet of a plan's page. Colours mean the same in the picture, the bars and the badges."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root{--paper:#f6f7f9;--card:#fff;--ink:#1b2330;--soft:#5b6678;--line:#d9dee6;--edge:#0b7a75;
--edge-soft:#e0f2f0;
--slow:#b45309;--slow-soft:#fdf0dc;--bad:#b3261e;--bad-soft:#fbe6e4;--quiet:#94a0b3;
--lib:#5b5bd6;--mod:#0b7a75;
--dex:#3b82c4;--rest:#c7cfdb}
@media (prefers-color-scheme:dark){:root{--paper:#10141b;--card:#181e28;--ink:#e4e9f1;
--soft:#9aa7ba;--line:#2b3442;
--edge:#45c9c0;--edge-soft:#123633;--slow:#f0a94a;--slow-soft:#3a2a12;--bad:#ff8a80;--bad-soft:#3d1c1a;
--quiet:#66748a;--lib:#9d9cff;--mod:#45c9c0;--dex:#6fb1ef;--rest:#3a4556}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1160px;margin:0 auto;padding:28px 24px 48px}
h1{font-size:27px;margin:2px 0;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:17px;margin:0 0 12px}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px 22px;
margin-top:18px}
code,.path,.name,.method,.module,.package,.names{font-family:ui-monospace,Menlo,Consolas,monospace}
code{font-size:13px;overflow-wrap:anywhere}
.kicker,.path,.hint,small{color:var(--soft)}
.kicker{margin:0;font-size:13px}
.path{margin:0 0 14px;font-size:13px;overflow-wrap:anywhere}
.hint{font-size:13px}
.cards{display:flex;flex-wrap:wrap;gap:10px}
.card{flex:1 1 150px;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.card b{display:block;font-size:21px}
.card span{color:var(--soft);font-size:13px}
.badge{display:inline-block;border-radius:20px;padding:1px 9px;font-size:12px;background:var(--line);
white-space:nowrap}
.badge.ready,.badge.removed{background:var(--edge-soft);color:var(--edge)}
.badge.refused,.badge.forbidden{background:var(--bad-soft);color:var(--bad)}
.badge.added,.badge.kept{background:var(--slow-soft);color:var(--slow)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
td{font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--soft);font-size:12.5px}
th,td{padding:6px 12px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
ul{margin:0;padding-left:20px}
li{margin:5px 0;overflow-wrap:anywhere}
li small{display:block}
details{border-bottom:1px solid var(--line);padding:6px 0}
summary{cursor:pointer}
.names{font-size:12.5px;color:var(--soft);overflow-wrap:anywhere}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;margin:0 0 12px;font-size:13px;color:var(--soft)}
.key{display:inline-flex;align-items:center;gap:6px}
.key svg{width:26px;height:8px}
.key i{width:11px;height:11px;border-radius:3px}
.bar{display:grid;grid-template-columns:130px 1fr 150px;gap:12px;align-items:center;margin:7px 0;
font-size:14px}
.bar b{display:flex;height:16px;background:var(--line);border-radius:4px;overflow:hidden}
.bar i{display:block;height:100%}
.figure{font-variant-numeric:tabular-nums}
i.dex{background:var(--dex)}i.library{background:var(--lib)}i.module{background:var(--mod)}
i.configuration{background:var(--slow)}i.untouched{background:var(--rest)}i.full{background:var(--bad)}
.bars .legend{margin:10px 0 14px}
svg.graph,svg.chart{width:100%;height:auto;display:block}
svg.chart{max-width:720px}
svg text{fill:var(--ink);font-size:12px}
svg .caption{fill:var(--soft);font-size:12px}
svg .more,svg .package,svg .tick{fill:var(--soft);font-size:11px}
svg .name{font-size:13px;font-weight:600}
svg .method{font-size:11.5px}
svg .module{font-size:11.5px;fill:var(--edge)}
.node rect{fill:var(--card);stroke:var(--line);stroke-width:1.4}
.node.moved rect{fill:var(--edge-soft);stroke:var(--edge)}
.node.refused rect{fill:var(--bad-soft);stroke:var(--bad)}
.node.follower rect{stroke-dasharray:4 3}
.edge path{fill:none;stroke:var(--quiet);stroke-width:1.4}
.edge.remote path{stroke:var(--edge);stroke-width:2.2}
.edge.slow path{stroke:var(--slow);stroke-width:2.2}
.edge.gone path{stroke-dasharray:3 4}
.edge text{font-size:11px;fill:var(--soft);paint-order:stroke;stroke:var(--card);stroke-width:3px}
.edge:hover path{stroke-width:3.4}
.tip.plain,.tip.gone{fill:var(--quiet)}.tip.remote{fill:var(--edge)}.tip.slow{fill:var(--slow)}
.grid{stroke:var(--line);fill:none}
.pays{fill:var(--edge-soft)}
.limit{stroke:var(--edge);stroke-width:2;fill:none}
.network.good circle{fill:var(--edge)}.network.bad circle{fill:var(--bad)}
footer{color:var(--soft);font-size:12.5px;margin-top:18px;overflow-wrap:anywhere}
@media print{section{break-inside:avoid}}
@media (max-width:640px){main{padding:16px}.bar{grid-template-columns:1fr}}
"""
