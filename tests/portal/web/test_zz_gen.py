from tests.portal.web.test_pages_for_everybody import *
from tests.portal.web import everything
import traceback, sys
def test_gen(world, pages_of):
    import kiban.portal.api.problems as pr
    seen=set(); old=pr.crash
    def crash(e,rid):
        tb="".join(traceback.format_exception(e)[-4:])
        if tb not in seen: seen.add(tb); print("CRASH",tb)
        return old(e,rid)
    pr.crash=crash
    rows={}
    for who in PEOPLE:
        for a in pages_of(who): rows.setdefault(a.name,{})[who]=a.letter
        with world.unchanged():
            for n,l in acts_of(world,who): rows.setdefault(n,{})[who]=l
    names=list(PEOPLE); width=max(map(len,rows))+1
    out=HEADING+"# Columns: "+" ".join(names[:12])+"\n#          "+" ".join(names[12:])+"\n"
    for n in rows: out+=n.ljust(width)+" ".join(rows[n][w] for w in names)+"\n"
    open("/tmp/portal/hostile/authorisation.txt","w").write(out)
    for who in APPLICANTS|JUDGES:
        try: test_no_page_tells_what_must_not_be_known(pages_of,who)
        except AssertionError as e: print("LEAK",who,str(e)[:3000])
    try: test_what_must_not_be_known_can_be_read_by_those_who_may(pages_of)
    except AssertionError as e: print("UNTOLD",str(e)[:600])
    for who in CONFLICTED:
        try: test_who_reviews_a_proposal_is_hidden_from_those_in_conflict(world,pages_of,who)
        except AssertionError as e: print("CONFL",who,str(e)[:2000])
