-- Written by 'deno task schema' from a freshly migrated database. Do not edit.

CREATE OR REPLACE FUNCTION migration.capture_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if tg_op = 'INSERT' then
    insert into migration.changes (collection, row_id) values (tg_argv[0], new.id);
  elsif tg_op = 'DELETE' then
    insert into migration.changes (collection, row_id, deleted_id)
    values (tg_argv[0], old.id, migration.document_id(old.legacy_id, old.extra));
  else
    insert into migration.changes (collection, row_id) values (tg_argv[0], new.id);
    if old.legacy_id <> new.legacy_id then
      insert into migration.changes (collection, row_id, deleted_id)
      values (tg_argv[0], old.id, migration.document_id(old.legacy_id, old.extra));
    end if;
  end if;
  return null;
end
$function$
;

CREATE OR REPLACE FUNCTION migration.capture_counters()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  insert into migration.recounted_tasks (task_id) values (new.id) on conflict do nothing;
  return null;
end
$function$
;

CREATE OR REPLACE FUNCTION migration.capture_subtask()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if tg_op = 'DELETE' then
    insert into migration.changes (collection, parent_id, row_id, deleted_id)
    values ('dramatiq_tasks', old.parent_task_id, old.id, migration.document_id(old.legacy_id, old.extra));
  else
    insert into migration.changes (collection, parent_id, row_id)
    values ('dramatiq_tasks', new.parent_task_id, new.id);
    if tg_op = 'UPDATE' and old.legacy_id <> new.legacy_id then
      insert into migration.changes (collection, parent_id, row_id, deleted_id)
      values ('dramatiq_tasks', old.parent_task_id, old.id, migration.document_id(old.legacy_id, old.extra));
    end if;
  end if;
  return null;
end
$function$
;

CREATE OR REPLACE FUNCTION migration.document_id(legacy_id text, extra json)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN COALESCE(((extra -> '_id'::text))::text, (('{"$oid":"'::text || legacy_id) || '"}'::text))
;

CREATE OR REPLACE FUNCTION migration.refuse_truncate()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if current_setting('contactsheet.capture', true) = 'off' then
    return null;
  end if;
  raise exception 'truncate of % while changes are captured for the way back', tg_table_name
    using hint = 'delete the rows, or set contactsheet.capture to off in this session';
end
$function$
;

CREATE OR REPLACE FUNCTION migration.refuse_write()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
declare
  refused text;
begin
  select coalesce(p.relname, tg_table_name) into refused
  from (values (tg_relid)) as t (oid)
  left join pg_inherits as i on i.inhrelid = t.oid
  left join pg_class as p on p.oid = i.inhparent;
  raise exception 'the old backend is in charge: % are changed by what comes from MongoDB only', refused
    using errcode = '57F01', hint = 'deno task migrate traffic tells which system is in charge';
end
$function$
;

CREATE OR REPLACE PROCEDURE migration.set_capture(IN is_enabled boolean)
 LANGUAGE plpgsql
AS $procedure$
declare
  capture record;
begin
  for capture in
    select tgrelid::regclass as on_table, tgname
    from pg_trigger
    where tgname like '%\_capture\_%' and tgrelid in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass)
    -- In the order in which rows are locked elsewhere.
    order by array_position(array['users', 'tasks', 'subtasks']::regclass[], tgrelid::regclass), tgname
  loop
    execute format(
      'alter table %s %s trigger %I', capture.on_table, case when is_enabled then 'enable' else 'disable' end,
      capture.tgname
    );
  end loop;
end
$procedure$
;

CREATE OR REPLACE PROCEDURE migration.set_fence(IN is_up boolean)
 LANGUAGE plpgsql
AS $procedure$
declare
  fenced text;
begin
  foreach fenced in array array['users', 'tasks', 'subtasks'] loop
    execute format(
      'alter table %I %s trigger %I', fenced, case when is_up then 'enable' else 'disable' end, fenced || '_fence'
    );
  end loop;
end
$procedure$
;

CREATE OR REPLACE FUNCTION public.count_task_changes()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public'
AS $function$
declare
  last bigint;
begin
  if tg_op = 'TRUNCATE' then
    truncate task_counts, task_count_changes;
    return null;
  elsif tg_op = 'INSERT' then
    insert into task_count_changes (username, status, change)
    select username, status, count(*) from fresh where not is_deleted group by username, status;
  elsif tg_op = 'DELETE' then
    insert into task_count_changes (username, status, change)
    select username, status, -count(*) from gone where not is_deleted group by username, status;
  else
    insert into task_count_changes (username, status, change)
    select * from (values (old.username, old.status, -1)) as v where not old.is_deleted
    union all
    select * from (values (new.username, new.status, 1)) as v where not new.is_deleted;
  end if;
  select max(id) into last from task_count_changes;
  if last % 64 = 0 or last > 512 + coalesce((select min(id) from task_count_changes), last) then
    perform fold_task_counts();
  end if;
  return null;
end
$function$
;

CREATE OR REPLACE FUNCTION public.failure_cause(error text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN COALESCE(NULLIF("left"(btrim(regexp_replace(regexp_replace(error, '^\s*(已尝试 [0-9]+ 次|第 [0-9]+ 次尝试失败)[:：]\s*'::text, ''::text), 'https?://[^[:space:]]+|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}|[0-9]{4,}'::text, '…'::text, 'g'::text)), 200), ''::text), 'unknown'::text)
;

CREATE OR REPLACE FUNCTION public.fan_out_notices()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public'
AS $function$
begin
  insert into deliveries (webhook_id, event)
  select w.id, n.kind from fresh n join webhooks w on w.task_id = n.task_id and n.kind = any(w.events);
  return null;
end
$function$
;

CREATE OR REPLACE FUNCTION public.fold_name(name text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
 SELECT
         CASE
             WHEN ((name COLLATE "C") !~ '[µ-Ɏͅ-ՖႠ-ჍᎠ-Ᏽᲀ-ᲿḀ-ῼΩ-ↃⒶ-ⓏⰀ-ⳲꙀ-ꚚꜢ-ꟵＡ-Ｚ𐐀-𐐧𐒰-𐓓𐕰-𐖕𐲀-𐲲𐵐-𐵥𑢠-𑢿𖹀-𖹟𞤀-𞤡]'::text) THEN lower((name COLLATE "C"))
             ELSE translate(lower((name COLLATE "C")), (((((((((((((('µÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽſƁƂƄƆƇƉ'::text || 'ƊƋƎƏƐƑƓƔƖƗƘƜƝƟƠƢƤƦƧƩƬƮƯƱƲƳƵƷƸƼǄǅǇǈǊǋǍǏǑǓǕǗǙǛǞǠǢǤǦǨǪǬǮǱǲǴǶǷǸǺǼǾȀȂȄȆȈȊȌȎȐȒȔȖȘȚȜȞȠȢȤȦȨȪȬȮȰȲȺȻȽȾɁɃɄɅɆɈɊɌ'::text) || 'ɎͅͰͲͶͿΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫςϏϐϑϕϖϘϚϜϞϠϢϤϦϨϪϬϮϰϱϴϵϷϹϺϽϾϿЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПР'::text) || 'СТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖӘӚӜӞӠӢӤӦӨӪӬӮӰӲӴӶӸӺӼӾԀԂԄԆԈԊԌԎԐ'::text) || 'ԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖႠႡႢႣႤႥႦႧႨႩႪႫႬႭႮႯႰႱႲႳႴႵႶႷႸႹႺႻႼႽႾႿჀჁჂჃჄჅჇჍᎠᎡᎢᎣᎤᎥᎦ'::text) || 'ᎧᎨᎩᎪᎫᎬᎭᎮᎯᎰᎱᎲᎳᎴᎵᎶᎷᎸᎹᎺᎻᎼᎽᎾᎿᏀᏁᏂᏃᏄᏅᏆᏇᏈᏉᏊᏋᏌᏍᏎᏏᏐᏑᏒᏓᏔᏕᏖᏗᏘᏙᏚᏛᏜᏝᏞᏟᏠᏡᏢᏣᏤᏥᏦᏧᏨᏩᏪᏫᏬᏭᏮᏯᏰᏱᏲᏳᏴᏵᲀᲁᲂᲃᲄᲅᲆᲇᲈᲉᲐᲑᲒᲓᲔᲕᲖᲗᲘᲙᲚ'::text) || 'ᲛᲜᲝᲞᲟᲠᲡᲢᲣᲤᲥᲦᲧᲨᲩᲪᲫᲬᲭᲮᲯᲰᲱᲲᲳᲴᲵᲶᲷᲸᲹᲺᲽᲾᲿḀḂḄḆḈḊḌḎḐḒḔḖḘḚḜḞḠḢḤḦḨḪḬḮḰḲḴḶḸḺḼḾṀṂṄṆṈṊṌṎṐṒṔṖṘṚṜṞṠṢṤṦṨṪṬṮṰṲṴṶṸṺṼṾẀ'::text) || 'ẂẄẆẈẊẌẎẐẒẔẛẞẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸỺỼỾἈἉἊἋἌἍἎἏἘἙἚἛἜἝἨἩἪἫἬἭἮἯἸἹἺἻἼἽἾἿὈὉὊὋὌὍὙὛὝὟ'::text) || 'ὨὩὪὫὬὭὮὯᾈᾉᾊᾋᾌᾍᾎᾏᾘᾙᾚᾛᾜᾝᾞᾟᾨᾩᾪᾫᾬᾭᾮᾯᾸᾹᾺΆᾼιῈΈῊΉῌῘῙῚΊῨῩῪΎῬῸΌῺΏῼΩKÅℲⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫⅬⅭⅮⅯↃⒶⒷⒸⒹⒺⒻⒼⒽⒾⒿⓀⓁⓂⓃⓄⓅⓆⓇⓈⓉⓊⓋ'::text) || 'ⓌⓍⓎⓏⰀⰁⰂⰃⰄⰅⰆⰇⰈⰉⰊⰋⰌⰍⰎⰏⰐⰑⰒⰓⰔⰕⰖⰗⰘⰙⰚⰛⰜⰝⰞⰟⰠⰡⰢⰣⰤⰥⰦⰧⰨⰩⰪⰫⰬⰭⰮⰯⱠⱢⱣⱤⱧⱩⱫⱭⱮⱯⱰⱲⱵⱾⱿⲀⲂⲄⲆⲈⲊⲌⲎⲐⲒⲔⲖⲘⲚⲜⲞⲠⲢⲤⲦⲨⲪⲬⲮⲰⲲⲴⲶⲸⲺⲼⲾⳀ'::text) || 'ⳂⳄⳆⳈⳊⳌⳎⳐⳒⳔⳖⳘⳚⳜⳞⳠⳢⳫⳭⳲꙀꙂꙄꙆꙈꙊꙌꙎꙐꙒꙔꙖꙘꙚꙜꙞꙠꙢꙤꙦꙨꙪꙬꚀꚂꚄꚆꚈꚊꚌꚎꚐꚒꚔꚖꚘꚚꜢꜤꜦꜨꜪꜬꜮꜲꜴꜶꜸꜺꜼꜾꝀꝂꝄꝆꝈꝊꝌꝎꝐꝒꝔꝖꝘꝚꝜꝞꝠꝢꝤꝦꝨꝪꝬꝮꝹꝻꝽꝾꞀ'::text) || 'ꞂꞄꞆꞋꞍꞐꞒꞖꞘꞚꞜꞞꞠꞢꞤꞦꞨꞪꞫꞬꞭꞮꞰꞱꞲꞳꞴꞶꞸꞺꞼꞾꟀꟂꟄꟅꟆꟇꟉꟋꟌꟐꟖꟘꟚꟜꟵＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ𐐀𐐁𐐂𐐃𐐄𐐅𐐆𐐇𐐈𐐉𐐊𐐋𐐌𐐍𐐎𐐏𐐐𐐑𐐒𐐓𐐔𐐕𐐖𐐗𐐘𐐙𐐚'::text) || '𐐛𐐜𐐝𐐞𐐟𐐠𐐡𐐢𐐣𐐤𐐥𐐦𐐧𐒰𐒱𐒲𐒳𐒴𐒵𐒶𐒷𐒸𐒹𐒺𐒻𐒼𐒽𐒾𐒿𐓀𐓁𐓂𐓃𐓄𐓅𐓆𐓇𐓈𐓉𐓊𐓋𐓌𐓍𐓎𐓏𐓐𐓑𐓒𐓓𐕰𐕱𐕲𐕳𐕴𐕵𐕶𐕷𐕸𐕹𐕺𐕼𐕽𐕾𐕿𐖀𐖁𐖂𐖃𐖄𐖅𐖆𐖇𐖈𐖉𐖊𐖌𐖍𐖎𐖏𐖐𐖑𐖒𐖔𐖕𐲀𐲁𐲂𐲃𐲄𐲅𐲆𐲇𐲈𐲉𐲊𐲋𐲌𐲍𐲎𐲏'::text) || '𐲐𐲑𐲒𐲓𐲔𐲕𐲖𐲗𐲘𐲙𐲚𐲛𐲜𐲝𐲞𐲟𐲠𐲡𐲢𐲣𐲤𐲥𐲦𐲧𐲨𐲩𐲪𐲫𐲬𐲭𐲮𐲯𐲰𐲱𐲲𐵐𐵑𐵒𐵓𐵔𐵕𐵖𐵗𐵘𐵙𐵚𐵛𐵜𐵝𐵞𐵟𐵠𐵡𐵢𐵣𐵤𐵥𑢠𑢡𑢢𑢣𑢤𑢥𑢦𑢧𑢨𑢩𑢪𑢫𑢬𑢭𑢮𑢯𑢰𑢱𑢲𑢳𑢴𑢵𑢶𑢷𑢸𑢹𑢺𑢻𑢼𑢽𑢾𑢿𖹀𖹁𖹂𖹃𖹄𖹅𖹆𖹇𖹈𖹉𖹊'::text) || '𖹋𖹌𖹍𖹎𖹏𖹐𖹑𖹒𖹓𖹔𖹕𖹖𖹗𖹘𖹙𖹚𖹛𖹜𖹝𖹞𖹟𞤀𞤁𞤂𞤃𞤄𞤅𞤆𞤇𞤈𞤉𞤊𞤋𞤌𞤍𞤎𞤏𞤐𞤑𞤒𞤓𞤔𞤕𞤖𞤗𞤘𞤙𞤚𞤛𞤜𞤝𞤞𞤟𞤠𞤡'::text), (((((((((((((('μàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžsɓƃƅɔƈɖ'::text || 'ɗƌǝəɛƒɠɣɩɨƙɯɲɵơƣƥʀƨʃƭʈưʊʋƴƶʒƹƽǆǆǉǉǌǌǎǐǒǔǖǘǚǜǟǡǣǥǧǩǫǭǯǳǳǵƕƿǹǻǽǿȁȃȅȇȉȋȍȏȑȓȕȗșțȝȟƞȣȥȧȩȫȭȯȱȳⱥȼƚⱦɂƀʉʌɇɉɋɍ'::text) || 'ɏιͱͳͷϳάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋσϗβθφπϙϛϝϟϡϣϥϧϩϫϭϯκρθεϸϲϻͻͼͽѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопр'::text) || 'стуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳӵӷӹӻӽӿԁԃԅԇԉԋԍԏԑ'::text) || 'ԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆⴀⴁⴂⴃⴄⴅⴆⴇⴈⴉⴊⴋⴌⴍⴎⴏⴐⴑⴒⴓⴔⴕⴖⴗⴘⴙⴚⴛⴜⴝⴞⴟⴠⴡⴢⴣⴤⴥⴧⴭꭰꭱꭲꭳꭴꭵꭶ'::text) || 'ꭷꭸꭹꭺꭻꭼꭽꭾꭿꮀꮁꮂꮃꮄꮅꮆꮇꮈꮉꮊꮋꮌꮍꮎꮏꮐꮑꮒꮓꮔꮕꮖꮗꮘꮙꮚꮛꮜꮝꮞꮟꮠꮡꮢꮣꮤꮥꮦꮧꮨꮩꮪꮫꮬꮭꮮꮯꮰꮱꮲꮳꮴꮵꮶꮷꮸꮹꮺꮻꮼꮽꮾꮿᏸᏹᏺᏻᏼᏽвдосттъѣꙋᲊაბგდევზთიკლ'::text) || 'მნოპჟრსტუფქღყშჩცძწჭხჯჰჱჲჳჴჵჶჷჸჹჺჽჾჿḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟḡḣḥḧḩḫḭḯḱḳḵḷḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷṹṻṽṿẁ'::text) || 'ẃẅẇẉẋẍẏẑẓẕṡßạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹỻỽỿἀἁἂἃἄἅἆἇἐἑἒἓἔἕἠἡἢἣἤἥἦἧἰἱἲἳἴἵἶἷὀὁὂὃὄὅὑὓὕὗ'::text) || 'ὠὡὢὣὤὥὦὧᾀᾁᾂᾃᾄᾅᾆᾇᾐᾑᾒᾓᾔᾕᾖᾗᾠᾡᾢᾣᾤᾥᾦᾧᾰᾱὰάᾳιὲέὴήῃῐῑὶίῠῡὺύῥὸόὼώῳωkåⅎⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅺⅻⅼⅽⅾⅿↄⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥ'::text) || 'ⓦⓧⓨⓩⰰⰱⰲⰳⰴⰵⰶⰷⰸⰹⰺⰻⰼⰽⰾⰿⱀⱁⱂⱃⱄⱅⱆⱇⱈⱉⱊⱋⱌⱍⱎⱏⱐⱑⱒⱓⱔⱕⱖⱗⱘⱙⱚⱛⱜⱝⱞⱟⱡɫᵽɽⱨⱪⱬɑɱɐɒⱳⱶȿɀⲁⲃⲅⲇⲉⲋⲍⲏⲑⲓⲕⲗⲙⲛⲝⲟⲡⲣⲥⲧⲩⲫⲭⲯⲱⲳⲵⲷⲹⲻⲽⲿⳁ'::text) || 'ⳃⳅⳇⳉⳋⳍⳏⳑⳓⳕⳗⳙⳛⳝⳟⳡⳣⳬⳮⳳꙁꙃꙅꙇꙉꙋꙍꙏꙑꙓꙕꙗꙙꙛꙝꙟꙡꙣꙥꙧꙩꙫꙭꚁꚃꚅꚇꚉꚋꚍꚏꚑꚓꚕꚗꚙꚛꜣꜥꜧꜩꜫꜭꜯꜳꜵꜷꜹꜻꜽꜿꝁꝃꝅꝇꝉꝋꝍꝏꝑꝓꝕꝗꝙꝛꝝꝟꝡꝣꝥꝧꝩꝫꝭꝯꝺꝼᵹꝿꞁ'::text) || 'ꞃꞅꞇꞌɥꞑꞓꞗꞙꞛꞝꞟꞡꞣꞥꞧꞩɦɜɡɬɪʞʇʝꭓꞵꞷꞹꞻꞽꞿꟁꟃꞔʂᶎꟈꟊɤꟍꟑꟗꟙꟛƛꟶａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ𐐨𐐩𐐪𐐫𐐬𐐭𐐮𐐯𐐰𐐱𐐲𐐳𐐴𐐵𐐶𐐷𐐸𐐹𐐺𐐻𐐼𐐽𐐾𐐿𐑀𐑁𐑂'::text) || '𐑃𐑄𐑅𐑆𐑇𐑈𐑉𐑊𐑋𐑌𐑍𐑎𐑏𐓘𐓙𐓚𐓛𐓜𐓝𐓞𐓟𐓠𐓡𐓢𐓣𐓤𐓥𐓦𐓧𐓨𐓩𐓪𐓫𐓬𐓭𐓮𐓯𐓰𐓱𐓲𐓳𐓴𐓵𐓶𐓷𐓸𐓹𐓺𐓻𐖗𐖘𐖙𐖚𐖛𐖜𐖝𐖞𐖟𐖠𐖡𐖣𐖤𐖥𐖦𐖧𐖨𐖩𐖪𐖫𐖬𐖭𐖮𐖯𐖰𐖱𐖳𐖴𐖵𐖶𐖷𐖸𐖹𐖻𐖼𐳀𐳁𐳂𐳃𐳄𐳅𐳆𐳇𐳈𐳉𐳊𐳋𐳌𐳍𐳎𐳏'::text) || '𐳐𐳑𐳒𐳓𐳔𐳕𐳖𐳗𐳘𐳙𐳚𐳛𐳜𐳝𐳞𐳟𐳠𐳡𐳢𐳣𐳤𐳥𐳦𐳧𐳨𐳩𐳪𐳫𐳬𐳭𐳮𐳯𐳰𐳱𐳲𐵰𐵱𐵲𐵳𐵴𐵵𐵶𐵷𐵸𐵹𐵺𐵻𐵼𐵽𐵾𐵿𐶀𐶁𐶂𐶃𐶄𐶅𑣀𑣁𑣂𑣃𑣄𑣅𑣆𑣇𑣈𑣉𑣊𑣋𑣌𑣍𑣎𑣏𑣐𑣑𑣒𑣓𑣔𑣕𑣖𑣗𑣘𑣙𑣚𑣛𑣜𑣝𑣞𑣟𖹠𖹡𖹢𖹣𖹤𖹥𖹦𖹧𖹨𖹩𖹪'::text) || '𖹫𖹬𖹭𖹮𖹯𖹰𖹱𖹲𖹳𖹴𖹵𖹶𖹷𖹸𖹹𖹺𖹻𖹼𖹽𖹾𖹿𞤢𞤣𞤤𞤥𞤦𞤧𞤨𞤩𞤪𞤫𞤬𞤭𞤮𞤯𞤰𞤱𞤲𞤳𞤴𞤵𞤶𞤷𞤸𞤹𞤺𞤻𞤼𞤽𞤾𞤿𞥀𞥁𞥂𞥃'::text))
         END AS translate;
END
;

CREATE OR REPLACE FUNCTION public.fold_task_counts()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public'
AS $function$
begin
  if not pg_try_advisory_xact_lock(hashtext('fold_task_counts')) then return; end if;
  with gone as (
    delete from task_count_changes
    where id in (select id from task_count_changes order by id limit 100000 for update skip locked)
    returning username, status, change
  )
  insert into task_counts (scope, status, tasks)
  select scope, status, sum(change)
  from gone, lateral (values ('*'), ('u:' || username)) as scopes (scope)
  group by scope, status
  on conflict (scope, status) do update set tasks = task_counts.tasks + excluded.tasks;
end
$function$
;

CREATE OR REPLACE FUNCTION public.legacy_document(generation text, extra json, names text[], own text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
 SELECT (('{'::text || string_agg((((to_json(f.name))::text || ':'::text) || f.value), ','::text ORDER BY f.place)) || '}'::text)
    FROM ( SELECT p.name,
             p.place,
                 CASE
                     WHEN ((p.note IS NULL) OR ((p.own IS NOT NULL) AND (p.note ~ '"[$]'::text))) THEN p.own
                     WHEN ((p.name = ANY (ARRAY['_id'::text, 'status'::text, 'result'::text, 'error'::text, 'retry_count'::text, 'updated_at'::text])) AND (p.own <> replace(p.note, '\u0000'::text, '␀'::text))) THEN p.own
                     ELSE p.note
                 END AS value
            FROM ( SELECT n.name,
                     n.place,
                     (legacy_document.own)[array_position(legacy_document.names, n.name)] AS own,
                         CASE
                             WHEN (n.note ~ '"[$]'::text) THEN regexp_replace(regexp_replace(regexp_replace(n.note, '[{]"[$]number(?:Int|Long|Decimal)":"(-?[0-9.]+)"[}]'::text, '\1'::text, 'g'::text), '[{]"[$](?:oid|escaped)":("(?:[^"\\]|\\.)*")[}]'::text, '\1'::text, 'g'::text), '\\\\(u0000|ud[89a-f][0-9a-f]{2})'::text, '\\\1'::text, 'g'::text)
                             ELSE n.note
                         END AS note
                    FROM ( SELECT m.name,
                             m.place,
                             ((legacy_document.extra -> regexp_replace(m.name, '^[$]'::text, '$$'::text)))::text AS note
                            FROM ( SELECT o.name,
                                     min(o.place) AS place
                                    FROM ( SELECT u.name,
    u.place
   FROM unnest((((
  CASE legacy_document.generation
   WHEN 'S1'::text THEN '{_id,id,dramatiq_message_id,parent_task_id,v0,v1,v2,v3,v4,v5}'::text[]
   WHEN 'S2'::text THEN '{_id,id,parent_task_id,v0,v1,v2,v3,v4,v5}'::text[]
   WHEN 'S3'::text THEN '{_id,id,parent_task_id,variable_indices}'::text[]
   ELSE '{_id,id,parent_task_id,variable_indices,variable_types_map,type_to_variable}'::text[]
  END || '{status,result,error,retry_count}'::text[]) ||
  CASE
   WHEN (legacy_document.generation = ANY (ARRAY['S1'::text, 'S2'::text, 'S3'::text])) THEN '{prompt,characters,elements}'::text[]
   ELSE '{prompts}'::text[]
  END) || '{ratio,seed,use_polish,created_at,updated_at}'::text[])) WITH ORDINALITY u(name, place)
  WHERE ((legacy_document.extra -> '$order'::text) IS NULL)
UNION ALL
 SELECT regexp_replace(k.name, '^[$][$]'::text, '$'::text) AS regexp_replace,
    (100 + k.place)
   FROM json_object_keys(legacy_document.extra) WITH ORDINALITY k(name, place)
  WHERE (((legacy_document.extra -> '$order'::text) IS NULL) AND (k.name !~ '^[$][^$]'::text))
UNION ALL
 SELECT regexp_replace(k.name, '^[$][$]'::text, '$'::text) AS regexp_replace,
    k.place
   FROM json_array_elements_text((legacy_document.extra -> '$order'::text)) WITH ORDINALITY k(name, place)) o
                                   WHERE (NOT (o.name IN ( SELECT json_array_elements_text(COALESCE((legacy_document.extra -> '$absent'::text), '[]'::json)) AS json_array_elements_text)))
                                   GROUP BY o.name) m) n) p) f
   WHERE (f.value IS NOT NULL);
END
;

CREATE OR REPLACE FUNCTION public.name_grams(name text)
 RETURNS bigint[]
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT
 SET search_path TO 'public'
AS $function$
declare
  grams bigint[] := '{}';
  before bigint := 0;
  here integer;
  letter text;
begin
  if length(name) > 2000 then return '{0}'; end if;
  foreach letter in array string_to_array(fold_name(name), null) loop
    here := ascii(letter);
    grams := grams || -here::bigint;
    if before > 0 then grams := grams || (before * 2097152 + here); end if;
    before := here;
  end loop;
  return grams;
end
$function$
;

CREATE OR REPLACE FUNCTION public.new_legacy_id()
 RETURNS text
 LANGUAGE sql
 PARALLEL SAFE
AS $function$
  select lpad(to_hex(extract(epoch from clock_timestamp())::bigint), 8, '0')
    || encode(substr(uuid_send(gen_random_uuid()), 9, 8), 'hex')
$function$
;

CREATE OR REPLACE FUNCTION public.recount_tasks()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public'
AS $function$
begin
  lock table tasks in share mode;
  perform pg_advisory_xact_lock(hashtext('fold_task_counts'));
  delete from task_count_changes;
  delete from task_counts;
  insert into task_counts (scope, status, tasks)
  select scope, status, sum(tasks)
  from (select username, status, count(*) as tasks from tasks where not is_deleted group by username, status) as owned,
    lateral (values ('*'), ('u:' || username)) as scopes (scope)
  group by scope, status;
end
$function$
;

create sequence migration.live_positions;

create sequence public.lease_ids;

create table migration.adjustments (
  fingerprint text not null,
  collection text not null,
  range_number integer not null,
  "position" bigint not null,
  row_id uuid not null,
  rule text not null,
  path text not null,
  document_id text
);
CREATE INDEX adjustments_document_id_idx ON migration.adjustments USING btree (collection, document_id) WHERE (document_id IS NOT NULL);
CREATE INDEX adjustments_range_idx ON migration.adjustments USING btree (fingerprint, collection, range_number);

create table migration.backs (
  id integer default 1 not null,
  target_identity text not null,
  state text not null,
  stop_reason text,
  position_at timestamp(3) with time zone,
  documents bigint default 0 not null,
  started_at timestamp(3) with time zone default now() not null,
  applied_at timestamp(3) with time zone default now() not null,
  constraint backs_pkey PRIMARY KEY (id),
  constraint backs_single CHECK ((id = 1)),
  constraint backs_state_known CHECK ((state = ANY (ARRAY['running'::text, 'stopped'::text, 'ended'::text])))
);

create table migration.changes (
  number bigint generated always as identity not null,
  collection text not null,
  parent_id uuid,
  row_id uuid not null,
  deleted_id text,
  at timestamp(3) with time zone default now() not null,
  constraint changes_pkey PRIMARY KEY (number)
);

create table migration.cutover_steps (
  cutover_id bigint not null,
  number integer not null,
  step text not null,
  began_at timestamp(3) with time zone default now() not null,
  ended_at timestamp(3) with time zone,
  outcome text,
  detail json,
  undone_at timestamp(3) with time zone,
  constraint cutover_steps_pkey PRIMARY KEY (cutover_id, number),
  constraint cutover_steps_cutover_id_fkey FOREIGN KEY (cutover_id) REFERENCES migration.cutovers(id) ON DELETE CASCADE,
  constraint cutover_steps_outcome_known CHECK ((outcome = ANY (ARRAY['done'::text, 'failed'::text, 'skipped'::text])))
);

create table migration.cutovers (
  id bigint generated always as identity not null,
  kind text not null,
  state text default 'running'::text not null,
  started_by text not null,
  started_at timestamp(3) with time zone default now() not null,
  ended_at timestamp(3) with time zone,
  pause_predicted_ms integer,
  pause_ms integer,
  note text,
  options json default '{}'::json not null,
  constraint cutovers_pkey PRIMARY KEY (id),
  constraint cutovers_ended_at_with_end CHECK (((ended_at IS NULL) = (state = 'running'::text))),
  constraint cutovers_kind_known CHECK ((kind = ANY (ARRAY['rehearsal'::text, 'cutover'::text, 'rollback'::text]))),
  constraint cutovers_state_known CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'undone'::text, 'failed'::text])))
);
CREATE UNIQUE INDEX cutovers_running_idx ON migration.cutovers USING btree ((true)) WHERE (state = 'running'::text);

create table migration.decisions (
  name text not null,
  value json not null,
  decided_by text not null,
  decided_at timestamp(3) with time zone default now() not null,
  constraint decisions_pkey PRIMARY KEY (name)
);

create table migration.differences (
  verification_id bigint not null,
  collection text not null,
  document_id text not null,
  kind text not null,
  path text not null,
  source_value text,
  row_value text,
  number bigint generated always as identity not null,
  cause text,
  constraint differences_verification_id_fkey FOREIGN KEY (verification_id) REFERENCES migration.verifications(id) ON DELETE CASCADE
);
CREATE INDEX differences_verification_id_idx ON migration.differences USING btree (verification_id);

create table migration.exclusions (
  fingerprint text not null,
  collection text not null,
  range_number integer not null,
  "position" bigint not null,
  document_id text not null,
  rule text not null,
  constraint exclusions_pkey PRIMARY KEY (fingerprint, collection, "position")
);

create table migration.follow_ranges (
  collection text not null,
  number integer not null,
  lower_bound text not null,
  upper_bound text not null,
  documents integer,
  done_at timestamp(3) with time zone,
  constraint follow_ranges_pkey PRIMARY KEY (collection, number)
);

create table migration.follows (
  id integer default 1 not null,
  fingerprint text not null,
  source_identity text not null,
  mode text not null,
  state text default 'copying'::text not null,
  stop_reason text,
  resume_token text,
  "position" bigint,
  position_at timestamp(3) with time zone,
  oplog_from timestamp(3) with time zone,
  oplog_read_at timestamp(3) with time zone,
  lag_ms double precision,
  applied_at timestamp(3) with time zone default now() not null,
  events bigint default 0 not null,
  documents bigint default 0 not null,
  events_per_second double precision default 0 not null,
  documents_per_second double precision default 0 not null,
  started_at timestamp(3) with time zone default now() not null,
  copied_at timestamp(3) with time zone,
  behind_at timestamp(3) with time zone default now() not null,
  constraint follows_pkey PRIMARY KEY (id),
  constraint follows_fingerprint_fkey FOREIGN KEY (fingerprint) REFERENCES migration.sources(fingerprint),
  constraint follows_mode_known CHECK ((mode = ANY (ARRAY['stream'::text, 'poll'::text]))),
  constraint follows_single CHECK ((id = 1)),
  constraint follows_state_known CHECK ((state = ANY (ARRAY['copying'::text, 'following'::text, 'gap'::text, 'stopped'::text, 'ended'::text]))),
  constraint follows_stop_reason_with_stop CHECK (((stop_reason IS NOT NULL) = (state = 'stopped'::text)))
);

create table migration.front_processes (
  id text not null,
  host text not null,
  pid integer not null,
  product text not null,
  key_digest text not null,
  acknowledged bigint not null,
  writes_in_flight integer default 0 not null,
  writes_held integer default 0 not null,
  started_at timestamp(3) with time zone default now() not null,
  seen_at timestamp(3) with time zone default now() not null,
  constraint front_processes_pkey PRIMARY KEY (id)
);

create table migration.front_writes (
  user_key text not null,
  at timestamp(3) with time zone default now() not null,
  pending integer default 0 not null,
  constraint front_writes_pkey PRIMARY KEY (user_key)
);

create table migration.gaps (
  id bigint generated always as identity not null,
  found_at timestamp(3) with time zone default now() not null,
  reason text not null,
  lost_at timestamp(3) with time zone,
  resumed_at timestamp(3) with time zone,
  compared bigint,
  applied bigint,
  healed_at timestamp(3) with time zone,
  constraint gaps_pkey PRIMARY KEY (id)
);

create table migration.live_checkpoints (
  verification_id bigint not null,
  collection text not null,
  bound text not null,
  rows_bound text not null,
  documents bigint default 0 not null,
  done boolean default false not null,
  constraint live_checkpoints_pkey PRIMARY KEY (verification_id, collection),
  constraint live_checkpoints_verification_id_fkey FOREIGN KEY (verification_id) REFERENCES migration.live_verifications(id) ON DELETE CASCADE
);

create table migration.live_verifications (
  id bigint generated always as identity not null,
  fingerprint text not null,
  started_at timestamp(3) with time zone default now() not null,
  ended_at timestamp(3) with time zone,
  documents bigint default 0 not null,
  rows bigint default 0 not null,
  quarantined bigint default 0 not null,
  waiting bigint default 0 not null,
  rechecked bigint default 0 not null,
  changing bigint default 0 not null,
  differences bigint default 0 not null,
  verdict text,
  constraint live_verifications_pkey PRIMARY KEY (id),
  constraint live_verifications_fingerprint_fkey FOREIGN KEY (fingerprint) REFERENCES migration.sources(fingerprint),
  constraint live_verifications_verdict_known CHECK ((verdict = ANY (ARRAY['equal'::text, 'different'::text])))
);

create table migration.originals (
  fingerprint text not null,
  collection text not null,
  range_number integer not null,
  "position" bigint not null,
  row_id uuid not null,
  original bytea not null,
  document_id text,
  constraint originals_pkey PRIMARY KEY (fingerprint, collection, "position")
);
CREATE INDEX originals_document_id_idx ON migration.originals USING btree (collection, document_id) WHERE (document_id IS NOT NULL);
CREATE INDEX originals_row_id_idx ON migration.originals USING btree (row_id);

create table migration.quarantine (
  id bigint generated always as identity not null,
  fingerprint text not null,
  collection text not null,
  range_number integer not null,
  "position" bigint not null,
  document_id text not null,
  reason text not null,
  path text not null,
  detail text not null,
  original bytea not null,
  attempts integer default 1 not null,
  first_at timestamp(3) with time zone default now() not null,
  has_row boolean default false not null,
  constraint quarantine_pkey PRIMARY KEY (id),
  constraint quarantine_position_key UNIQUE (fingerprint, collection, "position")
);
CREATE INDEX quarantine_document_id_idx ON migration.quarantine USING btree (collection, document_id);
CREATE INDEX quarantine_range_idx ON migration.quarantine USING btree (fingerprint, collection, range_number);

create table migration.ranges (
  fingerprint text not null,
  collection text not null,
  number integer not null,
  lower_bound text not null,
  upper_bound text not null,
  first_position bigint not null,
  documents integer not null,
  bytes bigint not null,
  state text default 'planned'::text not null,
  exact integer default 0 not null,
  adjusted integer default 0 not null,
  quarantined integer default 0 not null,
  excluded integer default 0 not null,
  digest text,
  run_id bigint,
  done_at timestamp(3) with time zone,
  constraint ranges_pkey PRIMARY KEY (fingerprint, collection, number),
  constraint ranges_fingerprint_fkey FOREIGN KEY (fingerprint) REFERENCES migration.sources(fingerprint),
  constraint ranges_done_at_with_end CHECK (((done_at IS NOT NULL) = (state = 'done'::text))),
  constraint ranges_state_known CHECK ((state = ANY (ARRAY['planned'::text, 'done'::text])))
);

create table migration.rechecks (
  verification_id bigint not null,
  collection text not null,
  document_id text not null,
  document_key bytea not null,
  version text not null,
  differences json not null,
  comparisons integer default 1 not null,
  changes integer default 0 not null,
  seen_position bigint not null,
  first_seen_at timestamp(3) with time zone default now() not null,
  seen_at timestamp(3) with time zone default now() not null,
  constraint rechecks_pkey PRIMARY KEY (verification_id, collection, document_id),
  constraint rechecks_verification_id_fkey FOREIGN KEY (verification_id) REFERENCES migration.live_verifications(id) ON DELETE CASCADE
);

create table migration.recounted_tasks (
  task_id uuid not null,
  constraint recounted_tasks_pkey PRIMARY KEY (task_id)
);

create table migration.repairs (
  id bigint generated always as identity not null,
  plan text not null,
  at timestamp(3) with time zone default now() not null,
  action text not null,
  fingerprint text not null,
  collection text not null,
  document_id text not null,
  row_id uuid,
  parent_id uuid,
  before_row text,
  after_row text,
  undone_at timestamp(3) with time zone,
  constraint repairs_pkey PRIMARY KEY (id),
  constraint repairs_action_known CHECK ((action = ANY (ARRAY['insert'::text, 'update'::text, 'delete'::text, 'original'::text])))
);
CREATE INDEX repairs_plan_idx ON migration.repairs USING btree (plan);

create table migration.replays (
  fingerprint text not null,
  collection text not null,
  "position" bigint not null,
  document_id text not null,
  reason text not null,
  path text not null,
  attempts integer not null,
  row_id uuid,
  at timestamp(3) with time zone default now() not null,
  constraint replays_pkey PRIMARY KEY (fingerprint, collection, "position")
);

create table migration.runs (
  id bigint generated always as identity not null,
  fingerprint text not null,
  state text default 'running'::text not null,
  started_at timestamp(3) with time zone default now() not null,
  ended_at timestamp(3) with time zone,
  note text,
  constraint runs_pkey PRIMARY KEY (id),
  constraint runs_fingerprint_fkey FOREIGN KEY (fingerprint) REFERENCES migration.sources(fingerprint),
  constraint runs_ended_at_with_end CHECK (((ended_at IS NULL) = (state = 'running'::text))),
  constraint runs_state_known CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'stopped'::text, 'failed'::text])))
);

create table migration.schema_steps (
  number integer not null,
  name text not null,
  hash text not null,
  applied_at timestamp(3) with time zone default now() not null,
  constraint schema_steps_pkey PRIMARY KEY (number)
);

create table migration.shadow_answers (
  hour timestamp(3) with time zone not null,
  compared bigint default 0 not null,
  equal bigint default 0 not null,
  constraint shadow_answers_pkey PRIMARY KEY (hour)
);

create table migration.shadow_differences (
  route text not null,
  path text not null,
  cause text not null,
  rule text not null,
  answers bigint default 1 not null,
  first_at timestamp(3) with time zone default now() not null,
  last_at timestamp(3) with time zone default now() not null,
  sample_target text not null,
  sample_old text,
  sample_new text,
  constraint shadow_differences_pkey PRIMARY KEY (route, path, cause, rule),
  constraint shadow_differences_cause_known CHECK ((cause = ANY (ARRAY['lag'::text, 'data'::text, 'code'::text, 'noise'::text, 'intended'::text])))
);

create table migration.sources (
  fingerprint text not null,
  kind text not null,
  location text not null,
  planned_at timestamp(3) with time zone default now() not null,
  settled_at timestamp(3) with time zone,
  superseded_at timestamp(3) with time zone,
  constraint sources_pkey PRIMARY KEY (fingerprint)
);

create table migration.traffic (
  id integer default 1 not null,
  phase text default 'old'::text not null,
  share integer default 0 not null,
  version bigint default 1 not null,
  phase_before text,
  hold_until timestamp(3) with time zone,
  changed_at timestamp(3) with time zone default now() not null,
  changed_by text default 'installation'::text not null,
  reason text default ''::text not null,
  constraint traffic_pkey PRIMARY KEY (id),
  constraint traffic_before_known CHECK ((phase_before = ANY (ARRAY['old'::text, 'shadow'::text, 'canary'::text, 'new'::text]))),
  constraint traffic_hold CHECK ((((phase = 'holding'::text) = (hold_until IS NOT NULL)) AND ((phase = 'holding'::text) = (phase_before IS NOT NULL)))),
  constraint traffic_phase_known CHECK ((phase = ANY (ARRAY['old'::text, 'shadow'::text, 'canary'::text, 'holding'::text, 'new'::text]))),
  constraint traffic_share_range CHECK (((share >= 0) AND (share <= 100))),
  constraint traffic_single CHECK ((id = 1))
);

create table migration.traffic_changes (
  version bigint not null,
  at timestamp(3) with time zone default now() not null,
  changed_by text not null,
  phase_before text not null,
  phase_after text not null,
  share_before integer not null,
  share_after integer not null,
  reason text not null,
  forced boolean default false not null,
  constraint traffic_changes_pkey PRIMARY KEY (version)
);

create table migration.verifications (
  id bigint generated always as identity not null,
  fingerprint text not null,
  started_at timestamp(3) with time zone default now() not null,
  ended_at timestamp(3) with time zone,
  documents bigint default 0 not null,
  rows bigint default 0 not null,
  differences bigint default 0 not null,
  verdict text,
  plan text,
  constraint verifications_pkey PRIMARY KEY (id),
  constraint verifications_verdict_known CHECK ((verdict = ANY (ARRAY['equal'::text, 'different'::text])))
);

create table migration.verified_ranges (
  verification_id bigint not null,
  collection text not null,
  number integer not null,
  documents integer not null,
  rows integer not null,
  quarantined integer not null,
  differences integer not null,
  verified_at timestamp(3) with time zone default now() not null,
  constraint verified_ranges_pkey PRIMARY KEY (verification_id, collection, number),
  constraint verified_ranges_verification_id_fkey FOREIGN KEY (verification_id) REFERENCES migration.verifications(id) ON DELETE CASCADE
);

create table migration.waiting (
  collection text not null,
  document_id text not null,
  reason text not null,
  path text not null,
  detail text not null,
  awaited text not null,
  original bytea not null,
  has_row boolean default false not null,
  attempts integer default 1 not null,
  first_at timestamp(3) with time zone default now() not null,
  constraint waiting_pkey PRIMARY KEY (collection, document_id),
  constraint waiting_reason_known CHECK ((reason = ANY (ARRAY['orphan'::text, 'duplicate_email'::text, 'duplicate_id'::text])))
);
CREATE INDEX waiting_awaited_idx ON migration.waiting USING btree (collection, awaited);

create table public.attempts (
  task_id uuid not null,
  subtask_id uuid not null,
  attempt integer not null,
  worker_id text,
  started_at timestamp(3) with time zone,
  ended_at timestamp(3) with time zone default now() not null,
  outcome text not null,
  reason text,
  remote_id text,
  image_url text,
  rating smallint,
  evaluate text[],
  constraint attempts_pkey PRIMARY KEY (task_id, subtask_id, attempt),
  constraint attempts_subtask_fkey FOREIGN KEY (task_id, subtask_id) REFERENCES subtasks(parent_task_id, id) ON DELETE CASCADE,
  constraint attempts_outcome_known CHECK ((outcome = ANY (ARRAY['done'::text, 'timeout'::text, 'illegal'::text, 'error'::text, 'lost'::text])))
);

create table public.cell_tags (
  task_id uuid not null,
  subtask_id uuid not null,
  tag text not null,
  author_id uuid not null,
  created_at timestamp(3) with time zone default now() not null,
  constraint cell_tags_pkey PRIMARY KEY (task_id, subtask_id, tag),
  constraint cell_tags_subtask_fkey FOREIGN KEY (task_id, subtask_id) REFERENCES subtasks(parent_task_id, id) ON DELETE CASCADE,
  constraint cell_tags_tag_length CHECK (((length(tag) >= 1) AND (length(tag) <= 100)))
);

create table public.deliveries (
  id bigint generated always as identity not null,
  webhook_id uuid not null,
  event text not null,
  created_at timestamp(3) with time zone default now() not null,
  due_at timestamp(3) with time zone default now() not null,
  tries integer default 0 not null,
  closed_at timestamp(3) with time zone,
  status integer,
  error text,
  constraint deliveries_pkey PRIMARY KEY (id),
  constraint deliveries_webhook_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks(id) ON DELETE CASCADE
);
CREATE INDEX deliveries_due_idx ON public.deliveries USING btree (due_at) WHERE (closed_at IS NULL);
CREATE INDEX deliveries_webhook_idx ON public.deliveries USING btree (webhook_id, id DESC);

create table public.evaluations (
  id uuid default gen_random_uuid() not null,
  task_id uuid not null,
  subtask_id uuid not null,
  version integer not null,
  author_id uuid not null,
  text text not null,
  tags text[] default '{}'::text[] not null,
  created_at timestamp(3) with time zone default now() not null,
  edited_at timestamp(3) with time zone,
  constraint evaluations_pkey PRIMARY KEY (id),
  constraint evaluations_subtask_fkey FOREIGN KEY (task_id, subtask_id) REFERENCES subtasks(parent_task_id, id) ON DELETE CASCADE,
  constraint evaluations_text_length CHECK (((length(text) >= 1) AND (length(text) <= 4000)))
);
CREATE INDEX evaluations_cell_idx ON public.evaluations USING btree (task_id, subtask_id, created_at, id);

create table public.favourites (
  task_id uuid not null,
  subtask_id uuid not null,
  user_id uuid not null,
  created_at timestamp(3) with time zone default now() not null,
  constraint favourites_pkey PRIMARY KEY (task_id, subtask_id, user_id),
  constraint favourites_subtask_fkey FOREIGN KEY (task_id, subtask_id) REFERENCES subtasks(parent_task_id, id) ON DELETE CASCADE,
  constraint favourites_user_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
);

create table public.idempotency_keys (
  principal_id uuid not null,
  key text not null,
  request_hash bytea not null,
  status integer not null,
  headers json not null,
  body text not null,
  created_at timestamp(3) with time zone default now() not null,
  constraint idempotency_keys_pkey PRIMARY KEY (principal_id, key)
);
CREATE INDEX idempotency_keys_created_idx ON public.idempotency_keys USING btree (created_at);

create table public.leaders (
  role text not null,
  holder text not null,
  term bigint default 1 not null,
  since timestamp(3) with time zone default now() not null,
  lease_until timestamp(3) with time zone not null,
  constraint leaders_pkey PRIMARY KEY (role)
);

create table public.outbox (
  id bigint generated always as identity not null,
  task_id uuid not null,
  kind text not null,
  images_expected integer,
  created_at timestamp(3) with time zone default now() not null,
  due_at timestamp(3) with time zone default now() not null,
  tries integer default 0 not null,
  delivered text[] default '{}'::text[] not null,
  closed_at timestamp(3) with time zone,
  error text,
  constraint outbox_pkey PRIMARY KEY (id),
  constraint outbox_task_id_kind_key UNIQUE (task_id, kind),
  constraint outbox_task_id_fkey FOREIGN KEY (task_id) REFERENCES tasks(id) ON DELETE CASCADE,
  constraint outbox_kind_known CHECK ((kind = ANY (ARRAY['submitted'::text, 'completed'::text, 'partial'::text, 'failed'::text, 'held'::text])))
);
CREATE INDEX outbox_due_idx ON public.outbox USING btree (due_at) WHERE (closed_at IS NULL);
CREATE TRIGGER outbox_fan_out AFTER INSERT ON public.outbox REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION fan_out_notices();

create table public.queue_slots (
  queue text not null,
  slots integer not null,
  wanted integer not null,
  reason text not null,
  changed_at timestamp(3) with time zone default now() not null,
  constraint queue_slots_pkey PRIMARY KEY (queue),
  constraint queue_slots_queue_known CHECK ((queue = ANY (ARRAY['high'::text, 'standard'::text, 'lumina'::text]))),
  constraint queue_slots_range CHECK (((slots >= 0) AND (slots <= 10000)))
);

create table public.rating_history (
  id bigint generated always as identity not null,
  task_id uuid not null,
  subtask_id uuid not null,
  version integer not null,
  rater_id uuid not null,
  action text not null,
  stars smallint,
  skipped text,
  at timestamp(3) with time zone default now() not null,
  constraint rating_history_pkey PRIMARY KEY (id),
  constraint rating_history_subtask_fkey FOREIGN KEY (task_id, subtask_id) REFERENCES subtasks(parent_task_id, id) ON DELETE CASCADE,
  constraint rating_history_action_known CHECK ((action = ANY (ARRAY['rated'::text, 'changed'::text, 'cleared'::text])))
);
CREATE INDEX rating_history_cell_idx ON public.rating_history USING btree (task_id, subtask_id, id);

create table public.ratings (
  task_id uuid not null,
  subtask_id uuid not null,
  version integer not null,
  rater_id uuid not null,
  stars smallint,
  skipped text,
  blind boolean default false not null,
  took_ms integer,
  created_at timestamp(3) with time zone default now() not null,
  updated_at timestamp(3) with time zone default now() not null,
  constraint ratings_pkey PRIMARY KEY (task_id, subtask_id, version, rater_id),
  constraint ratings_subtask_fkey FOREIGN KEY (task_id, subtask_id) REFERENCES subtasks(parent_task_id, id) ON DELETE CASCADE,
  constraint ratings_stars_or_skipped CHECK (((stars IS NULL) = (skipped IS NOT NULL))),
  constraint ratings_stars_range CHECK (((stars >= 1) AND (stars <= 5))),
  constraint ratings_took_ms_range CHECK (((took_ms >= 0) AND (took_ms <= 86400000)))
);
CREATE INDEX ratings_updated_idx ON public.ratings USING btree (updated_at);

create table public.reservations (
  task_id uuid not null,
  subtask_id uuid not null,
  rater_id uuid not null,
  until timestamp(3) with time zone not null,
  constraint reservations_pkey PRIMARY KEY (task_id, subtask_id, rater_id),
  constraint reservations_subtask_fkey FOREIGN KEY (task_id, subtask_id) REFERENCES subtasks(parent_task_id, id) ON DELETE CASCADE
);

create table public.sessions (
  id uuid default gen_random_uuid() not null,
  user_id uuid not null,
  token_hash bytea not null,
  previous_hash bytea,
  rotated_at timestamp(3) with time zone default now() not null,
  created_at timestamp(3) with time zone default now() not null,
  expires_at timestamp(3) with time zone not null,
  ended_at timestamp(3) with time zone,
  end_reason text,
  client text default ''::text not null,
  constraint sessions_pkey PRIMARY KEY (id),
  constraint sessions_token_hash_key UNIQUE (token_hash),
  constraint sessions_user_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE,
  constraint sessions_end_with_reason CHECK (((ended_at IS NULL) = (end_reason IS NULL)))
);
CREATE INDEX sessions_previous_idx ON public.sessions USING btree (previous_hash) WHERE (previous_hash IS NOT NULL);
CREATE INDEX sessions_user_idx ON public.sessions USING btree (user_id);

create table public.shares (
  id uuid default gen_random_uuid() not null,
  task_id uuid not null,
  token_hash bytea not null,
  label text default ''::text not null,
  mode text not null,
  blind boolean default false not null,
  created_by uuid not null,
  created_at timestamp(3) with time zone default now() not null,
  expires_at timestamp(3) with time zone not null,
  revoked_at timestamp(3) with time zone,
  constraint shares_pkey PRIMARY KEY (id),
  constraint shares_token_hash_key UNIQUE (token_hash),
  constraint shares_task_fkey FOREIGN KEY (task_id) REFERENCES tasks(id) ON DELETE CASCADE,
  constraint shares_mode_known CHECK ((mode = ANY (ARRAY['read'::text, 'rate'::text])))
);
CREATE INDEX shares_task_idx ON public.shares USING btree (task_id);

create table public.slot_changes (
  id bigint generated always as identity not null,
  queue text not null,
  slots_before integer not null,
  slots_after integer not null,
  reason text not null,
  changed_at timestamp(3) with time zone default now() not null,
  constraint slot_changes_pkey PRIMARY KEY (id)
);
CREATE INDEX slot_changes_queue_idx ON public.slot_changes USING btree (queue, id DESC);

create table public.slot_overrides (
  queue text not null,
  slots integer not null,
  reason text not null,
  made_by text not null,
  made_at timestamp(3) with time zone default now() not null,
  expires_at timestamp(3) with time zone not null,
  constraint slot_overrides_pkey PRIMARY KEY (queue),
  constraint slot_overrides_queue_known CHECK ((queue = ANY (ARRAY['high'::text, 'standard'::text, 'lumina'::text]))),
  constraint slot_overrides_range CHECK (((slots >= 0) AND (slots <= 10000)))
);

create table public.subtasks (
  parent_task_id uuid not null,
  id uuid default gen_random_uuid() not null,
  legacy_id text collate "C" default new_legacy_id() not null,
  cell integer,
  variable_indices integer[],
  variable_types_map json,
  type_to_variable json,
  status text default 'pending'::text not null,
  result json,
  error text,
  retry_count integer default 0 not null,
  prompts json,
  ratio text,
  seed bigint,
  use_polish boolean default false not null,
  created_at timestamp(3) with time zone default now() not null,
  updated_at timestamp(3) with time zone default now() not null,
  rating smallint,
  evaluate text[],
  image_url text,
  queue text default 'standard'::text not null,
  client_args json,
  attempt integer default 0 not null,
  lease_id bigint,
  worker_id text,
  intent_at timestamp(3) with time zone,
  remote_id text,
  run_after timestamp(3) with time zone,
  started_at timestamp(3) with time zone,
  completed_at timestamp(3) with time zone,
  generation text,
  extra json,
  spread integer,
  losses smallint default 0 not null,
  rating_n integer default 0 not null,
  rating_sum integer default 0 not null,
  fingerprint uuid,
  revision bigint default 0 not null,
  constraint subtasks_pkey PRIMARY KEY (parent_task_id, id),
  constraint subtasks_parent_task_id_fkey FOREIGN KEY (parent_task_id) REFERENCES tasks(id) ON DELETE CASCADE,
  constraint subtasks_completed_at_with_end CHECK (((completed_at IS NOT NULL) = (status = ANY (ARRAY['completed'::text, 'failed'::text, 'cancelled'::text])))),
  constraint subtasks_lease_only_while_processing CHECK (((lease_id IS NULL) OR ((status = 'processing'::text) AND (worker_id IS NOT NULL) AND (started_at IS NOT NULL)))),
  constraint subtasks_legacy_id_hex CHECK ((legacy_id ~ '^[0-9a-f]{24}$'::text)),
  constraint subtasks_queue_known CHECK ((queue = ANY (ARRAY['high'::text, 'standard'::text, 'lumina'::text]))),
  constraint subtasks_rating_range CHECK (((rating >= 1) AND (rating <= 5))),
  constraint subtasks_ratings_add_up CHECK (((rating_n >= 0) AND ((rating_sum >= rating_n) AND (rating_sum <= (5 * rating_n))))),
  constraint subtasks_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE UNIQUE INDEX subtasks_cell_idx ON public.subtasks USING btree (parent_task_id, cell) WHERE (cell IS NOT NULL);
CREATE INDEX subtasks_dead_idx ON public.subtasks USING btree (completed_at DESC, id) WHERE (status = 'failed'::text);
CREATE INDEX subtasks_failed_idx ON public.subtasks USING btree (parent_task_id) WHERE (status = 'failed'::text);
CREATE INDEX subtasks_fingerprint_idx ON public.subtasks USING btree (fingerprint) WHERE ((fingerprint IS NOT NULL) AND (status = 'completed'::text));
CREATE INDEX subtasks_order_idx ON public.subtasks USING btree (parent_task_id, legacy_id);
CREATE INDEX subtasks_pending_idx ON public.subtasks USING btree (parent_task_id, queue, spread) WHERE (status = 'pending'::text);
CREATE INDEX subtasks_processing_idx ON public.subtasks USING btree (parent_task_id, worker_id) WHERE (status = 'processing'::text);
CREATE INDEX subtasks_revision_idx ON public.subtasks USING btree (parent_task_id, revision) WHERE (revision > 0);
CREATE TRIGGER subtasks_capture_deleted AFTER DELETE ON public.subtasks FOR EACH ROW WHEN ((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text)) EXECUTE FUNCTION migration.capture_subtask(); -- disabled
CREATE TRIGGER subtasks_capture_inserted AFTER INSERT ON public.subtasks FOR EACH ROW WHEN ((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text)) EXECUTE FUNCTION migration.capture_subtask(); -- disabled
CREATE TRIGGER subtasks_capture_truncated BEFORE TRUNCATE ON public.subtasks FOR EACH STATEMENT EXECUTE FUNCTION migration.refuse_truncate(); -- disabled
CREATE TRIGGER subtasks_capture_updated AFTER UPDATE OF parent_task_id, id, legacy_id, variable_indices, variable_types_map, type_to_variable, status, result, error, retry_count, prompts, ratio, seed, use_polish, created_at, updated_at, generation, extra ON public.subtasks FOR EACH ROW WHEN (((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text) AND ((((((((((((((((((old.updated_at IS DISTINCT FROM new.updated_at) OR (old.status IS DISTINCT FROM new.status)) OR (old.retry_count IS DISTINCT FROM new.retry_count)) OR (old.error IS DISTINCT FROM new.error)) OR (old.parent_task_id IS DISTINCT FROM new.parent_task_id)) OR (old.id IS DISTINCT FROM new.id)) OR (old.legacy_id IS DISTINCT FROM new.legacy_id)) OR (old.variable_indices IS DISTINCT FROM new.variable_indices)) OR (old.ratio IS DISTINCT FROM new.ratio)) OR (old.seed IS DISTINCT FROM new.seed)) OR (old.use_polish IS DISTINCT FROM new.use_polish)) OR (old.created_at IS DISTINCT FROM new.created_at)) OR (old.generation IS DISTINCT FROM new.generation)) OR ((old.result)::text IS DISTINCT FROM (new.result)::text)) OR ((old.variable_types_map)::text IS DISTINCT FROM (new.variable_types_map)::text)) OR ((old.type_to_variable)::text IS DISTINCT FROM (new.type_to_variable)::text)) OR ((old.prompts)::text IS DISTINCT FROM (new.prompts)::text)) OR ((old.extra)::text IS DISTINCT FROM (new.extra)::text)))) EXECUTE FUNCTION migration.capture_subtask(); -- disabled
CREATE TRIGGER subtasks_fence AFTER INSERT OR DELETE OR UPDATE OF parent_task_id, id, legacy_id, variable_indices, variable_types_map, type_to_variable, status, result, error, retry_count, prompts, ratio, seed, use_polish, created_at, updated_at, generation, extra ON public.subtasks FOR EACH ROW WHEN ((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text)) EXECUTE FUNCTION migration.refuse_write(); -- disabled

create table public.task_count_changes (
  id bigint generated always as identity not null,
  username text collate "C" not null,
  status text not null,
  change bigint not null,
  constraint task_count_changes_pkey PRIMARY KEY (id)
);

create table public.task_counts (
  scope text collate "C" not null,
  status text not null,
  tasks bigint not null,
  constraint task_counts_pkey PRIMARY KEY (scope, status)
);

create table public.tasks (
  id uuid default gen_random_uuid() not null,
  legacy_id text collate "C" default new_legacy_id() not null,
  task_name text not null,
  username text collate "C" not null,
  owner_id uuid,
  tags json not null,
  variables json not null,
  settings json not null,
  status text default 'pending'::text not null,
  error text,
  total_images integer default 0 not null,
  all_subtasks_completed boolean default false not null,
  is_deleted boolean default false not null,
  priority integer default 1 not null,
  created_at timestamp(3) with time zone default now() not null,
  updated_at timestamp(3) with time zone default now() not null,
  started_at timestamp(3) with time zone,
  completed_at timestamp(3) with time zone,
  subtasks_total integer default 0 not null,
  subtasks_completed integer default 0 not null,
  subtasks_failed integer default 0 not null,
  subtasks_cancelled integer default 0 not null,
  revision bigint default 1 not null,
  hold text,
  hold_reason text,
  generation text,
  extra json,
  cancelling boolean default false not null,
  canary_lifted boolean default false not null,
  seed_policy text default 'per_cell'::text not null,
  axis_roles json,
  blind boolean default false not null,
  cells_numbered boolean default false not null,
  grown json,
  constraint tasks_pkey PRIMARY KEY (id),
  constraint tasks_legacy_id_key UNIQUE (legacy_id),
  constraint tasks_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id) ON DELETE SET NULL,
  constraint tasks_completed_at_with_end CHECK (((completed_at IS NOT NULL) = (status = ANY (ARRAY['completed'::text, 'failed'::text, 'cancelled'::text])))),
  constraint tasks_counters_within_total CHECK (((subtasks_completed >= 0) AND (subtasks_failed >= 0) AND (subtasks_cancelled >= 0) AND (((subtasks_completed + subtasks_failed) + subtasks_cancelled) <= subtasks_total))),
  constraint tasks_hold_known CHECK ((hold = ANY (ARRAY['import'::text, 'pause'::text, 'canary'::text]))),
  constraint tasks_legacy_id_hex CHECK ((legacy_id ~ '^[0-9a-f]{24}$'::text)),
  constraint tasks_seed_policy_known CHECK ((seed_policy = ANY (ARRAY['shared'::text, 'per_combination'::text, 'per_cell'::text, 'pinned'::text]))),
  constraint tasks_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE INDEX tasks_cancelling_idx ON public.tasks USING btree (id) WHERE cancelling;
CREATE INDEX tasks_name_grams_idx ON public.tasks USING gin (name_grams(task_name)) WITH (gin_pending_list_limit='1024') WHERE (NOT is_deleted);
CREATE INDEX tasks_newest_idx ON public.tasks USING btree (created_at DESC, id DESC) WHERE (NOT is_deleted);
CREATE INDEX tasks_open_idx ON public.tasks USING btree (priority DESC, created_at) WHERE ((status = ANY (ARRAY['pending'::text, 'processing'::text])) AND (hold IS NULL) AND (NOT is_deleted));
CREATE INDEX tasks_owner_id_idx ON public.tasks USING btree (owner_id);
CREATE INDEX tasks_status_newest_idx ON public.tasks USING btree (status, created_at DESC, id DESC) WHERE (NOT is_deleted);
CREATE INDEX tasks_username_newest_idx ON public.tasks USING btree (username, created_at DESC, id DESC) WHERE (NOT is_deleted);
CREATE TRIGGER tasks_capture_deleted AFTER DELETE ON public.tasks FOR EACH ROW WHEN ((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text)) EXECUTE FUNCTION migration.capture_change('tasks'); -- disabled
CREATE TRIGGER tasks_capture_inserted AFTER INSERT ON public.tasks FOR EACH ROW WHEN ((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text)) EXECUTE FUNCTION migration.capture_change('tasks'); -- disabled
CREATE TRIGGER tasks_capture_recounted AFTER UPDATE OF subtasks_total, subtasks_completed, subtasks_failed ON public.tasks FOR EACH ROW WHEN (((new.generation IS NOT NULL) AND (current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text) AND (((old.subtasks_completed IS DISTINCT FROM new.subtasks_completed) OR (old.subtasks_failed IS DISTINCT FROM new.subtasks_failed)) OR (old.subtasks_total IS DISTINCT FROM new.subtasks_total)))) EXECUTE FUNCTION migration.capture_counters(); -- disabled
CREATE TRIGGER tasks_capture_truncated BEFORE TRUNCATE ON public.tasks FOR EACH STATEMENT EXECUTE FUNCTION migration.refuse_truncate(); -- disabled
CREATE TRIGGER tasks_capture_updated AFTER UPDATE OF id, legacy_id, task_name, username, tags, variables, settings, status, error, total_images, all_subtasks_completed, is_deleted, priority, created_at, updated_at, subtasks_total, subtasks_completed, subtasks_failed, generation, extra ON public.tasks FOR EACH ROW WHEN (((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text) AND ((((((((((((((((((((old.updated_at IS DISTINCT FROM new.updated_at) OR (old.subtasks_completed IS DISTINCT FROM new.subtasks_completed)) OR (old.subtasks_failed IS DISTINCT FROM new.subtasks_failed)) OR (old.subtasks_total IS DISTINCT FROM new.subtasks_total)) OR (old.status IS DISTINCT FROM new.status)) OR (old.id IS DISTINCT FROM new.id)) OR (old.legacy_id IS DISTINCT FROM new.legacy_id)) OR (old.task_name IS DISTINCT FROM new.task_name)) OR (old.username IS DISTINCT FROM new.username)) OR (old.error IS DISTINCT FROM new.error)) OR (old.total_images IS DISTINCT FROM new.total_images)) OR (old.all_subtasks_completed IS DISTINCT FROM new.all_subtasks_completed)) OR (old.is_deleted IS DISTINCT FROM new.is_deleted)) OR (old.priority IS DISTINCT FROM new.priority)) OR (old.created_at IS DISTINCT FROM new.created_at)) OR (old.generation IS DISTINCT FROM new.generation)) OR ((old.tags)::text IS DISTINCT FROM (new.tags)::text)) OR ((old.variables)::text IS DISTINCT FROM (new.variables)::text)) OR ((old.settings)::text IS DISTINCT FROM (new.settings)::text)) OR ((old.extra)::text IS DISTINCT FROM (new.extra)::text)))) EXECUTE FUNCTION migration.capture_change('tasks'); -- disabled
CREATE TRIGGER tasks_count_deleted AFTER DELETE ON public.tasks REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION count_task_changes();
CREATE TRIGGER tasks_count_inserted AFTER INSERT ON public.tasks REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION count_task_changes();
CREATE TRIGGER tasks_count_truncated AFTER TRUNCATE ON public.tasks FOR EACH STATEMENT EXECUTE FUNCTION count_task_changes();
CREATE TRIGGER tasks_count_updated AFTER UPDATE OF status, is_deleted, username ON public.tasks FOR EACH ROW WHEN (((old.status IS DISTINCT FROM new.status) OR (old.is_deleted IS DISTINCT FROM new.is_deleted) OR (old.username IS DISTINCT FROM new.username))) EXECUTE FUNCTION count_task_changes();
CREATE TRIGGER tasks_fence AFTER INSERT OR DELETE OR UPDATE OF id, legacy_id, task_name, username, tags, variables, settings, status, error, total_images, all_subtasks_completed, is_deleted, priority, created_at, updated_at, subtasks_total, subtasks_completed, subtasks_failed, generation, extra ON public.tasks FOR EACH ROW WHEN ((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text)) EXECUTE FUNCTION migration.refuse_write(); -- disabled

create table public.users (
  id uuid default gen_random_uuid() not null,
  legacy_id text collate "C" default new_legacy_id() not null,
  email text collate "C" not null,
  hashed_password text not null,
  fullname text,
  roles text[] default '{user}'::text[] not null,
  is_active boolean default true not null,
  created_at timestamp(3) with time zone default now() not null,
  updated_at timestamp(3) with time zone default now() not null,
  generation text,
  extra json,
  token_version integer default 0 not null,
  constraint users_pkey PRIMARY KEY (id),
  constraint users_email_key UNIQUE (email),
  constraint users_legacy_id_key UNIQUE (legacy_id),
  constraint users_legacy_id_hex CHECK ((legacy_id ~ '^[0-9a-f]{24}$'::text)),
  constraint users_roles_known CHECK ((roles <@ '{admin,manager,user,guest}'::text[]))
);
CREATE TRIGGER users_capture_deleted AFTER DELETE ON public.users FOR EACH ROW WHEN ((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text)) EXECUTE FUNCTION migration.capture_change('users'); -- disabled
CREATE TRIGGER users_capture_inserted AFTER INSERT ON public.users FOR EACH ROW WHEN ((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text)) EXECUTE FUNCTION migration.capture_change('users'); -- disabled
CREATE TRIGGER users_capture_truncated BEFORE TRUNCATE ON public.users FOR EACH STATEMENT EXECUTE FUNCTION migration.refuse_truncate(); -- disabled
CREATE TRIGGER users_capture_updated AFTER UPDATE OF id, legacy_id, email, hashed_password, fullname, roles, is_active, created_at, updated_at, generation, extra ON public.users FOR EACH ROW WHEN (((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text) AND (((((((((((old.updated_at IS DISTINCT FROM new.updated_at) OR (old.id IS DISTINCT FROM new.id)) OR (old.legacy_id IS DISTINCT FROM new.legacy_id)) OR (old.email IS DISTINCT FROM new.email)) OR (old.hashed_password IS DISTINCT FROM new.hashed_password)) OR (old.fullname IS DISTINCT FROM new.fullname)) OR (old.roles IS DISTINCT FROM new.roles)) OR (old.is_active IS DISTINCT FROM new.is_active)) OR (old.created_at IS DISTINCT FROM new.created_at)) OR (old.generation IS DISTINCT FROM new.generation)) OR ((old.extra)::text IS DISTINCT FROM (new.extra)::text)))) EXECUTE FUNCTION migration.capture_change('users'); -- disabled
CREATE TRIGGER users_fence AFTER INSERT OR DELETE OR UPDATE OF id, legacy_id, email, hashed_password, fullname, roles, is_active, created_at, updated_at, generation, extra ON public.users FOR EACH ROW WHEN ((current_setting('contactsheet.capture'::text, true) IS DISTINCT FROM 'off'::text)) EXECUTE FUNCTION migration.refuse_write(); -- disabled

create table public.votes (
  id bigint generated always as identity not null,
  task_id uuid not null,
  left_id uuid not null,
  left_version integer not null,
  right_id uuid not null,
  right_version integer not null,
  outcome text not null,
  rater_id uuid not null,
  blind boolean default false not null,
  took_ms integer,
  created_at timestamp(3) with time zone default now() not null,
  constraint votes_pkey PRIMARY KEY (id),
  constraint votes_left_fkey FOREIGN KEY (task_id, left_id) REFERENCES subtasks(parent_task_id, id) ON DELETE CASCADE,
  constraint votes_right_fkey FOREIGN KEY (task_id, right_id) REFERENCES subtasks(parent_task_id, id) ON DELETE CASCADE,
  constraint votes_outcome_known CHECK ((outcome = ANY (ARRAY['left'::text, 'right'::text, 'tie'::text, 'skip'::text]))),
  constraint votes_took_ms_range CHECK (((took_ms >= 0) AND (took_ms <= 86400000))),
  constraint votes_two_cells CHECK ((left_id <> right_id))
);
CREATE INDEX votes_task_idx ON public.votes USING btree (task_id, rater_id);

create table public.webhooks (
  id uuid default gen_random_uuid() not null,
  task_id uuid not null,
  url text not null,
  secret text not null,
  events text[] not null,
  created_by uuid not null,
  created_at timestamp(3) with time zone default now() not null,
  constraint webhooks_pkey PRIMARY KEY (id),
  constraint webhooks_task_fkey FOREIGN KEY (task_id) REFERENCES tasks(id) ON DELETE CASCADE,
  constraint webhooks_events_known CHECK (((events <@ '{submitted,completed,partial,failed,held}'::text[]) AND (events <> '{}'::text[])))
);
CREATE INDEX webhooks_task_idx ON public.webhooks USING btree (task_id);

create table public.workers (
  id text not null,
  host text not null,
  pid integer not null,
  queues text[] not null,
  slots jsonb default '{}'::jsonb not null,
  health jsonb default '{}'::jsonb not null,
  started_at timestamp(3) with time zone default now() not null,
  heartbeat_at timestamp(3) with time zone default now() not null,
  constraint workers_pkey PRIMARY KEY (id)
);
