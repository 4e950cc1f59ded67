-- GET /tasks?task_name=: a plain substring, any case, at a million tasks, also of one or two Chinese characters.
-- Trigrams (pg_trgm) see nothing of two characters, so names are indexed by pairs of neighbours. Nothing here
-- needs an extension or depends on the database's locale.

-- Simple case folding (Unicode's CaseFolding.txt, statuses C and S): one character to one, as the old backend's
-- regular expressions compared. lower() would follow the locale, and knows only ASCII under "C".
-- Not strict, so that the planner can put its body in place of a call.
create function fold_name(name text) returns text
language sql immutable parallel safe
begin atomic
  select case
    when name collate "C" !~ '[µ-Ɏͅ-ՖႠ-ჍᎠ-Ᏽᲀ-ᲿḀ-ῼΩ-ↃⒶ-ⓏⰀ-ⳲꙀ-ꚚꜢ-ꟵＡ-Ｚ𐐀-𐐧𐒰-𐓓𐕰-𐖕𐲀-𐲲𐵐-𐵥𑢠-𑢿𖹀-𖹟𞤀-𞤡]' then lower(name collate "C")
    else translate(
      lower(name collate "C"),
      'µÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽſƁƂƄƆƇƉ'
      || 'ƊƋƎƏƐƑƓƔƖƗƘƜƝƟƠƢƤƦƧƩƬƮƯƱƲƳƵƷƸƼǄǅǇǈǊǋǍǏǑǓǕǗǙǛǞǠǢǤǦǨǪǬǮǱǲǴǶǷǸǺǼǾȀȂȄȆȈȊȌȎȐȒȔȖȘȚȜȞȠȢȤȦȨȪȬȮȰȲȺȻȽȾɁɃɄɅɆɈɊɌ'
      || 'ɎͅͰͲͶͿΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫςϏϐϑϕϖϘϚϜϞϠϢϤϦϨϪϬϮϰϱϴϵϷϹϺϽϾϿЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПР'
      || 'СТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖӘӚӜӞӠӢӤӦӨӪӬӮӰӲӴӶӸӺӼӾԀԂԄԆԈԊԌԎԐ'
      || 'ԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖႠႡႢႣႤႥႦႧႨႩႪႫႬႭႮႯႰႱႲႳႴႵႶႷႸႹႺႻႼႽႾႿჀჁჂჃჄჅჇჍᎠᎡᎢᎣᎤᎥᎦ'
      || 'ᎧᎨᎩᎪᎫᎬᎭᎮᎯᎰᎱᎲᎳᎴᎵᎶᎷᎸᎹᎺᎻᎼᎽᎾᎿᏀᏁᏂᏃᏄᏅᏆᏇᏈᏉᏊᏋᏌᏍᏎᏏᏐᏑᏒᏓᏔᏕᏖᏗᏘᏙᏚᏛᏜᏝᏞᏟᏠᏡᏢᏣᏤᏥᏦᏧᏨᏩᏪᏫᏬᏭᏮᏯᏰᏱᏲᏳᏴᏵᲀᲁᲂᲃᲄᲅᲆᲇᲈᲉᲐᲑᲒᲓᲔᲕᲖᲗᲘᲙᲚ'
      || 'ᲛᲜᲝᲞᲟᲠᲡᲢᲣᲤᲥᲦᲧᲨᲩᲪᲫᲬᲭᲮᲯᲰᲱᲲᲳᲴᲵᲶᲷᲸᲹᲺᲽᲾᲿḀḂḄḆḈḊḌḎḐḒḔḖḘḚḜḞḠḢḤḦḨḪḬḮḰḲḴḶḸḺḼḾṀṂṄṆṈṊṌṎṐṒṔṖṘṚṜṞṠṢṤṦṨṪṬṮṰṲṴṶṸṺṼṾẀ'
      || 'ẂẄẆẈẊẌẎẐẒẔẛẞẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸỺỼỾἈἉἊἋἌἍἎἏἘἙἚἛἜἝἨἩἪἫἬἭἮἯἸἹἺἻἼἽἾἿὈὉὊὋὌὍὙὛὝὟ'
      || 'ὨὩὪὫὬὭὮὯᾈᾉᾊᾋᾌᾍᾎᾏᾘᾙᾚᾛᾜᾝᾞᾟᾨᾩᾪᾫᾬᾭᾮᾯᾸᾹᾺΆᾼιῈΈῊΉῌῘῙῚΊῨῩῪΎῬῸΌῺΏῼΩKÅℲⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫⅬⅭⅮⅯↃⒶⒷⒸⒹⒺⒻⒼⒽⒾⒿⓀⓁⓂⓃⓄⓅⓆⓇⓈⓉⓊⓋ'
      || 'ⓌⓍⓎⓏⰀⰁⰂⰃⰄⰅⰆⰇⰈⰉⰊⰋⰌⰍⰎⰏⰐⰑⰒⰓⰔⰕⰖⰗⰘⰙⰚⰛⰜⰝⰞⰟⰠⰡⰢⰣⰤⰥⰦⰧⰨⰩⰪⰫⰬⰭⰮⰯⱠⱢⱣⱤⱧⱩⱫⱭⱮⱯⱰⱲⱵⱾⱿⲀⲂⲄⲆⲈⲊⲌⲎⲐⲒⲔⲖⲘⲚⲜⲞⲠⲢⲤⲦⲨⲪⲬⲮⲰⲲⲴⲶⲸⲺⲼⲾⳀ'
      || 'ⳂⳄⳆⳈⳊⳌⳎⳐⳒⳔⳖⳘⳚⳜⳞⳠⳢⳫⳭⳲꙀꙂꙄꙆꙈꙊꙌꙎꙐꙒꙔꙖꙘꙚꙜꙞꙠꙢꙤꙦꙨꙪꙬꚀꚂꚄꚆꚈꚊꚌꚎꚐꚒꚔꚖꚘꚚꜢꜤꜦꜨꜪꜬꜮꜲꜴꜶꜸꜺꜼꜾꝀꝂꝄꝆꝈꝊꝌꝎꝐꝒꝔꝖꝘꝚꝜꝞꝠꝢꝤꝦꝨꝪꝬꝮꝹꝻꝽꝾꞀ'
      || 'ꞂꞄꞆꞋꞍꞐꞒꞖꞘꞚꞜꞞꞠꞢꞤꞦꞨꞪꞫꞬꞭꞮꞰꞱꞲꞳꞴꞶꞸꞺꞼꞾꟀꟂꟄꟅꟆꟇꟉꟋꟌꟐꟖꟘꟚꟜꟵＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ𐐀𐐁𐐂𐐃𐐄𐐅𐐆𐐇𐐈𐐉𐐊𐐋𐐌𐐍𐐎𐐏𐐐𐐑𐐒𐐓𐐔𐐕𐐖𐐗𐐘𐐙𐐚'
      || '𐐛𐐜𐐝𐐞𐐟𐐠𐐡𐐢𐐣𐐤𐐥𐐦𐐧𐒰𐒱𐒲𐒳𐒴𐒵𐒶𐒷𐒸𐒹𐒺𐒻𐒼𐒽𐒾𐒿𐓀𐓁𐓂𐓃𐓄𐓅𐓆𐓇𐓈𐓉𐓊𐓋𐓌𐓍𐓎𐓏𐓐𐓑𐓒𐓓𐕰𐕱𐕲𐕳𐕴𐕵𐕶𐕷𐕸𐕹𐕺𐕼𐕽𐕾𐕿𐖀𐖁𐖂𐖃𐖄𐖅𐖆𐖇𐖈𐖉𐖊𐖌𐖍𐖎𐖏𐖐𐖑𐖒𐖔𐖕𐲀𐲁𐲂𐲃𐲄𐲅𐲆𐲇𐲈𐲉𐲊𐲋𐲌𐲍𐲎𐲏'
      || '𐲐𐲑𐲒𐲓𐲔𐲕𐲖𐲗𐲘𐲙𐲚𐲛𐲜𐲝𐲞𐲟𐲠𐲡𐲢𐲣𐲤𐲥𐲦𐲧𐲨𐲩𐲪𐲫𐲬𐲭𐲮𐲯𐲰𐲱𐲲𐵐𐵑𐵒𐵓𐵔𐵕𐵖𐵗𐵘𐵙𐵚𐵛𐵜𐵝𐵞𐵟𐵠𐵡𐵢𐵣𐵤𐵥𑢠𑢡𑢢𑢣𑢤𑢥𑢦𑢧𑢨𑢩𑢪𑢫𑢬𑢭𑢮𑢯𑢰𑢱𑢲𑢳𑢴𑢵𑢶𑢷𑢸𑢹𑢺𑢻𑢼𑢽𑢾𑢿𖹀𖹁𖹂𖹃𖹄𖹅𖹆𖹇𖹈𖹉𖹊'
      || '𖹋𖹌𖹍𖹎𖹏𖹐𖹑𖹒𖹓𖹔𖹕𖹖𖹗𖹘𖹙𖹚𖹛𖹜𖹝𖹞𖹟𞤀𞤁𞤂𞤃𞤄𞤅𞤆𞤇𞤈𞤉𞤊𞤋𞤌𞤍𞤎𞤏𞤐𞤑𞤒𞤓𞤔𞤕𞤖𞤗𞤘𞤙𞤚𞤛𞤜𞤝𞤞𞤟𞤠𞤡',
      'μàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžsɓƃƅɔƈɖ'
      || 'ɗƌǝəɛƒɠɣɩɨƙɯɲɵơƣƥʀƨʃƭʈưʊʋƴƶʒƹƽǆǆǉǉǌǌǎǐǒǔǖǘǚǜǟǡǣǥǧǩǫǭǯǳǳǵƕƿǹǻǽǿȁȃȅȇȉȋȍȏȑȓȕȗșțȝȟƞȣȥȧȩȫȭȯȱȳⱥȼƚⱦɂƀʉʌɇɉɋɍ'
      || 'ɏιͱͳͷϳάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋσϗβθφπϙϛϝϟϡϣϥϧϩϫϭϯκρθεϸϲϻͻͼͽѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопр'
      || 'стуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳӵӷӹӻӽӿԁԃԅԇԉԋԍԏԑ'
      || 'ԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆⴀⴁⴂⴃⴄⴅⴆⴇⴈⴉⴊⴋⴌⴍⴎⴏⴐⴑⴒⴓⴔⴕⴖⴗⴘⴙⴚⴛⴜⴝⴞⴟⴠⴡⴢⴣⴤⴥⴧⴭꭰꭱꭲꭳꭴꭵꭶ'
      || 'ꭷꭸꭹꭺꭻꭼꭽꭾꭿꮀꮁꮂꮃꮄꮅꮆꮇꮈꮉꮊꮋꮌꮍꮎꮏꮐꮑꮒꮓꮔꮕꮖꮗꮘꮙꮚꮛꮜꮝꮞꮟꮠꮡꮢꮣꮤꮥꮦꮧꮨꮩꮪꮫꮬꮭꮮꮯꮰꮱꮲꮳꮴꮵꮶꮷꮸꮹꮺꮻꮼꮽꮾꮿᏸᏹᏺᏻᏼᏽвдосттъѣꙋᲊაბგდევზთიკლ'
      || 'მნოპჟრსტუფქღყშჩცძწჭხჯჰჱჲჳჴჵჶჷჸჹჺჽჾჿḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟḡḣḥḧḩḫḭḯḱḳḵḷḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷṹṻṽṿẁ'
      || 'ẃẅẇẉẋẍẏẑẓẕṡßạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹỻỽỿἀἁἂἃἄἅἆἇἐἑἒἓἔἕἠἡἢἣἤἥἦἧἰἱἲἳἴἵἶἷὀὁὂὃὄὅὑὓὕὗ'
      || 'ὠὡὢὣὤὥὦὧᾀᾁᾂᾃᾄᾅᾆᾇᾐᾑᾒᾓᾔᾕᾖᾗᾠᾡᾢᾣᾤᾥᾦᾧᾰᾱὰάᾳιὲέὴήῃῐῑὶίῠῡὺύῥὸόὼώῳωkåⅎⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅺⅻⅼⅽⅾⅿↄⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥ'
      || 'ⓦⓧⓨⓩⰰⰱⰲⰳⰴⰵⰶⰷⰸⰹⰺⰻⰼⰽⰾⰿⱀⱁⱂⱃⱄⱅⱆⱇⱈⱉⱊⱋⱌⱍⱎⱏⱐⱑⱒⱓⱔⱕⱖⱗⱘⱙⱚⱛⱜⱝⱞⱟⱡɫᵽɽⱨⱪⱬɑɱɐɒⱳⱶȿɀⲁⲃⲅⲇⲉⲋⲍⲏⲑⲓⲕⲗⲙⲛⲝⲟⲡⲣⲥⲧⲩⲫⲭⲯⲱⲳⲵⲷⲹⲻⲽⲿⳁ'
      || 'ⳃⳅⳇⳉⳋⳍⳏⳑⳓⳕⳗⳙⳛⳝⳟⳡⳣⳬⳮⳳꙁꙃꙅꙇꙉꙋꙍꙏꙑꙓꙕꙗꙙꙛꙝꙟꙡꙣꙥꙧꙩꙫꙭꚁꚃꚅꚇꚉꚋꚍꚏꚑꚓꚕꚗꚙꚛꜣꜥꜧꜩꜫꜭꜯꜳꜵꜷꜹꜻꜽꜿꝁꝃꝅꝇꝉꝋꝍꝏꝑꝓꝕꝗꝙꝛꝝꝟꝡꝣꝥꝧꝩꝫꝭꝯꝺꝼᵹꝿꞁ'
      || 'ꞃꞅꞇꞌɥꞑꞓꞗꞙꞛꞝꞟꞡꞣꞥꞧꞩɦɜɡɬɪʞʇʝꭓꞵꞷꞹꞻꞽꞿꟁꟃꞔʂᶎꟈꟊɤꟍꟑꟗꟙꟛƛꟶａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ𐐨𐐩𐐪𐐫𐐬𐐭𐐮𐐯𐐰𐐱𐐲𐐳𐐴𐐵𐐶𐐷𐐸𐐹𐐺𐐻𐐼𐐽𐐾𐐿𐑀𐑁𐑂'
      || '𐑃𐑄𐑅𐑆𐑇𐑈𐑉𐑊𐑋𐑌𐑍𐑎𐑏𐓘𐓙𐓚𐓛𐓜𐓝𐓞𐓟𐓠𐓡𐓢𐓣𐓤𐓥𐓦𐓧𐓨𐓩𐓪𐓫𐓬𐓭𐓮𐓯𐓰𐓱𐓲𐓳𐓴𐓵𐓶𐓷𐓸𐓹𐓺𐓻𐖗𐖘𐖙𐖚𐖛𐖜𐖝𐖞𐖟𐖠𐖡𐖣𐖤𐖥𐖦𐖧𐖨𐖩𐖪𐖫𐖬𐖭𐖮𐖯𐖰𐖱𐖳𐖴𐖵𐖶𐖷𐖸𐖹𐖻𐖼𐳀𐳁𐳂𐳃𐳄𐳅𐳆𐳇𐳈𐳉𐳊𐳋𐳌𐳍𐳎𐳏'
      || '𐳐𐳑𐳒𐳓𐳔𐳕𐳖𐳗𐳘𐳙𐳚𐳛𐳜𐳝𐳞𐳟𐳠𐳡𐳢𐳣𐳤𐳥𐳦𐳧𐳨𐳩𐳪𐳫𐳬𐳭𐳮𐳯𐳰𐳱𐳲𐵰𐵱𐵲𐵳𐵴𐵵𐵶𐵷𐵸𐵹𐵺𐵻𐵼𐵽𐵾𐵿𐶀𐶁𐶂𐶃𐶄𐶅𑣀𑣁𑣂𑣃𑣄𑣅𑣆𑣇𑣈𑣉𑣊𑣋𑣌𑣍𑣎𑣏𑣐𑣑𑣒𑣓𑣔𑣕𑣖𑣗𑣘𑣙𑣚𑣛𑣜𑣝𑣞𑣟𖹠𖹡𖹢𖹣𖹤𖹥𖹦𖹧𖹨𖹩𖹪'
      || '𖹫𖹬𖹭𖹮𖹯𖹰𖹱𖹲𖹳𖹴𖹵𖹶𖹷𖹸𖹹𖹺𖹻𖹼𖹽𖹾𖹿𞤢𞤣𞤤𞤥𞤦𞤧𞤨𞤩𞤪𞤫𞤬𞤭𞤮𞤯𞤰𞤱𞤲𞤳𞤴𞤵𞤶𞤷𞤸𞤹𞤺𞤻𞤼𞤽𞤾𞤿𞥀𞥁𞥂𞥃'
    )
  end;
end;

-- The characters of a folded name, as negative numbers, and the pairs of neighbours, as positive ones: a pattern
-- of one or two characters is in a name exactly when its last number is. A name over 2,000 characters has the one
-- number 0 and is compared in any case.
create function name_grams(name text) returns bigint[]
language plpgsql immutable strict parallel safe
set search_path from current
as $$
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
$$;

-- GET /tasks?task_name=; the list of what is not merged yet is read whole by each search, so it is kept short
create index tasks_name_grams_idx on tasks using gin (name_grams(task_name))
  with (gin_pending_list_limit = 1024) where not is_deleted;

-- GET /tasks?status=: newest first among the tasks of one status, which may be few among very many
create index tasks_status_newest_idx on tasks (status, created_at desc, id desc) where not is_deleted;

-- `total` of GET /tasks. Counting a million rows takes 0.2 s on two cores, and the frontend asks again at each
-- letter it is given; so tasks are counted as they come and go. A change is a row of its own: counters that all
-- writers update would make the creation of one large task wait for that of another.
create table task_counts (
  -- `*` for all tasks, `u:` and the username for one owner's
  scope text collate "C" not null,
  status text not null,
  tasks bigint not null,
  constraint task_counts_pkey primary key (scope, status)
);

-- What is not in task_counts yet; a few hundred rows.
create table task_count_changes (
  id bigint generated always as identity,
  username text collate "C" not null,
  status text not null,
  change bigint not null,
  constraint task_count_changes_pkey primary key (id)
);

-- Moves changes into the counts. One at a time, and none waits: who comes second leaves it to the first.
create function fold_task_counts() returns void
language plpgsql
set search_path from current
as $$
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
$$;

-- Counts everything anew: after rows came in while triggers were off.
create function recount_tasks() returns void
language plpgsql
set search_path from current
as $$
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
$$;

create function count_task_changes() returns trigger
language plpgsql
set search_path from current
as $$
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
$$;

create trigger tasks_count_inserted after insert on tasks
  referencing new table as fresh for each statement execute function count_task_changes();
create trigger tasks_count_deleted after delete on tasks
  referencing old table as gone for each statement execute function count_task_changes();
create trigger tasks_count_updated after update of status, is_deleted, username on tasks
  for each row when (
    old.status is distinct from new.status or old.is_deleted is distinct from new.is_deleted
    or old.username is distinct from new.username
  )
  execute function count_task_changes();
create trigger tasks_count_truncated after truncate on tasks
  for each statement execute function count_task_changes();

select recount_tasks();

-- GET /tasks/{id}: a subtask that was brought over, as its document was. The old backend answered documents as
-- they were, field by field in their order. `extra` holds what the columns cannot say: `$order` of the fields,
-- `$absent` ones, and values by name; `own` are the columns as JSON texts, by the fields' names. A value that
-- plain JSON has no word for is answered as its column is, and so is one that work done here has changed since.
create function legacy_document(generation text, extra json, names text[], own text[]) returns text
language sql immutable parallel safe
begin atomic
  select '{' || string_agg(to_json(f.name)::text || ':' || f.value, ',' order by f.place) || '}'
  from (
    select p.name, p.place,
      case
        when p.note is null or p.own is not null and p.note ~ '"[$]' then p.own
        when p.name in ('_id', 'status', 'result', 'error', 'retry_count', 'updated_at')
          and p.own <> replace(p.note, '\u0000', '␀') then p.own
        else p.note
      end as value
    from (
      select n.name, n.place, own[array_position(names, n.name)] as own,
        case
          when n.note ~ '"[$]' then
            -- Tags that plain JSON has a word for: numbers, ids, texts with a NUL or half a surrogate pair.
            regexp_replace(
              regexp_replace(
                regexp_replace(n.note, '[{]"[$]number(?:Int|Long|Decimal)":"(-?[0-9.]+)"[}]', '\1', 'g'),
                '[{]"[$](?:oid|escaped)":("(?:[^"\\]|\\.)*")[}]', '\1', 'g'
              ),
              '\\\\(u0000|ud[89a-f][0-9a-f]{2})', '\\\1', 'g'
            )
          else n.note
        end as note
      from (
        select m.name, m.place, (extra -> regexp_replace(m.name, '^[$]', '$$'))::text as note
        from (
          select o.name, min(o.place) as place
          from (
            -- Fields by generation; S1 had no `id`, and gets one.
            select u.name, u.place
            from unnest(
              case generation
                when 'S1' then '{_id,id,dramatiq_message_id,parent_task_id,v0,v1,v2,v3,v4,v5}'::text[]
                when 'S2' then '{_id,id,parent_task_id,v0,v1,v2,v3,v4,v5}'
                when 'S3' then '{_id,id,parent_task_id,variable_indices}'
                else '{_id,id,parent_task_id,variable_indices,variable_types_map,type_to_variable}'
              end
              || '{status,result,error,retry_count}'::text[]
              || case when generation in ('S1', 'S2', 'S3') then '{prompt,characters,elements}'::text[]
                else '{prompts}' end
              || '{ratio,seed,use_polish,created_at,updated_at}'::text[]
            ) with ordinality as u (name, place)
            where extra -> '$order' is null
            union all
            select regexp_replace(k.name, '^[$][$]', '$'), 100 + k.place
            from json_object_keys(extra) with ordinality as k (name, place)
            where extra -> '$order' is null and k.name !~ '^[$][^$]'
            union all
            select regexp_replace(k.name, '^[$][$]', '$'), k.place
            from json_array_elements_text(extra -> '$order') with ordinality as k (name, place)
          ) as o
          where o.name not in (select json_array_elements_text(coalesce(extra -> '$absent', '[]')))
          group by o.name
        ) as m
      ) as n
    ) as p
  ) as f
  where f.value is not null;
end;
