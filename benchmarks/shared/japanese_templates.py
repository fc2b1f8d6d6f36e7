"""Templates, people and places of `japanese_records`. A slot in braces is filled; a person's number says which one.

`DEV` and `TEST` share no wording on purpose: what is tuned on one is measured on the other.
"""

# ruff: noqa: E501

# surname or given name:reading. Common ones and less common ones.
DEV_PEOPLE = (
    "佐藤:さとう 田中:たなか 伊藤:いとう 山本:やまもと 小林:こばやし 吉田:よしだ 佐々木:ささき 松本:まつもと 清水:しみず 阿部:あべ "
    "橋本:はしもと 石井:いしい 前田:まえだ 藤井:ふじい 西村:にしむら 福田:ふくだ 岡本:おかもと 藤原:ふじわら 中野:なかの 原田:はらだ "
    "竹内:たけうち 森:もり 林:はやし 菅原:すがわら 大塚:おおつか 新井:あらい 久保:くぼ 五十嵐:いがらし 長谷川:はせがわ 早川:はやかわ "
    "柏木:かしわぎ 堤:つつみ 門脇:かどわき 笹川:ささがわ 熊谷:くまがい 日高:ひだか 有馬:ありま 的場:まとば 国分:こくぶ 鷲尾:わしお",
    "太郎:たろう 健一:けんいち 誠:まこと 翔太:しょうた 大輔:だいすけ 拓海:たくみ 隆:たかし 和夫:かずお 直樹:なおき 優斗:ゆうと "
    "花子:はなこ 陽子:ようこ 美咲:みさき 結衣:ゆい 真由美:まゆみ 恵子:けいこ 彩:あや 千尋:ちひろ 裕子:ゆうこ 理沙:りさ "
    "悠真:ゆうま 浩二:こうじ 雅之:まさゆき 一郎:いちろう 智也:ともや 久美子:くみこ 沙織:さおり 菜々子:ななこ 律子:りつこ 楓:かえで "
    "辰之助:たつのすけ 英輝:ひでき 史恵:ふみえ 蒼空:そら 心愛:ここあ さくら:さくら ひかり:ひかり 義隆:よしたか 修平:しゅうへい 珠緒:たまお",
)
TEST_PEOPLE = (
    "鈴木:すずき 高橋:たかはし 渡辺:わたなべ 中村:なかむら 加藤:かとう 山田:やまだ 斎藤:さいとう 井上:いのうえ 木村:きむら 山口:やまぐち "
    "池田:いけだ 山下:やました 石川:いしかわ 中島:なかじま 小川:おがわ 後藤:ごとう 岡田:おかだ 村上:むらかみ 近藤:こんどう 坂本:さかもと "
    "遠藤:えんどう 青木:あおき 三浦:みうら 太田:おおた 松田:まつだ 原:はら 星:ほし 関:せき 小野寺:おのでら 大久保:おおくぼ "
    "平野:ひらの 増田:ますだ 落合:おちあい 宇野:うの 白鳥:しらとり 真鍋:まなべ 二階堂:にかいどう 宝田:たからだ 栗林:くりばやし 江藤:えとう "
    "神谷:かみや 猪俣:いのまた 安斎:あんざい 榊:さかき 能勢:のせ 渋谷:しぶや 東:あずま 南:みなみ 相馬:そうま 保科:ほしな",
    "一輝:かずき 達也:たつや 学:まなぶ 蓮:れん 陽翔:はると 颯太:そうた 湊:みなと 正人:まさと 茂:しげる 和也:かずや "
    "由美子:ゆみこ 葵:あおい 凛:りん 紗希:さき 七海:ななみ 智子:ともこ 明美:あけみ 幸子:さちこ 香織:かおり 愛:あい "
    "賢治:けんじ 俊介:しゅんすけ 康平:こうへい 光:ひかる 英明:ひであき 桃子:ももこ 美穂:みほ 麻衣:まい 友香:ともか 志保:しほ "
    "伸一郎:しんいちろう 龍之介:りゅうのすけ 栄作:えいさく 琴音:ことね 莉子:りこ ゆかり:ゆかり あかね:あかね 昌弘:まさひろ 大樹:だいき 朋子:ともこ "
    "清志郎:きよしろう 博之:ひろゆき 結翔:ゆいと 悦子:えつこ 節子:せつこ 遥香:はるか 亮:りょう 進:すすむ 美月:みづき 咲良:さくら",
)

TOWNS = (
    "東京都新宿区西新宿 東京都世田谷区三軒茶屋 東京都八王子市明神町 東京都千代田区神田錦町 神奈川県横浜市港北区新横浜 神奈川県川崎市中原区小杉町 "
    "大阪府大阪市北区梅田 大阪府堺市堺区三国ヶ丘 北海道札幌市中央区大通西 北海道函館市五稜郭町 愛知県名古屋市中村区名駅 愛知県豊田市喜多町 "
    "福岡県福岡市博多区博多駅前 福岡県北九州市小倉北区浅野 京都府京都市下京区四条通 兵庫県神戸市中央区三宮町 兵庫県姫路市駅前町 宮城県仙台市青葉区一番町 "
    "広島県広島市中区紙屋町 静岡県浜松市中央区鍛冶町 静岡県伊豆の国市長岡 千葉県千葉市美浜区ひび野 千葉県市川市八幡 埼玉県さいたま市大宮区桜木町 "
    "新潟県長岡市城内町 石川県金沢市香林坊 長野県松本市中央 岡山県倉敷市阿知 熊本県熊本市中央区下通 鹿児島県鹿児島市東千石町 沖縄県那覇市久茂地 "
    "香川県高松市サンポート 愛媛県松山市大街道 青森県八戸市三日町 秋田県由利本荘市水林 山形県東置賜郡高畠町大字高畠 奈良県生駒郡斑鳩町法隆寺南 長崎県佐世保市島瀬町"
)

DEV = (
    # mail
    "件名: お見積りの件\n\n{company}\n{surname1}様\n\nいつもお世話になっております。{company}の{surname2}です。\nご依頼の品番{part}について、{price}でご提供できます。納期は{date}の予定です。\nご不明な点は{phone}までご連絡ください。\n\n--\n{company} 営業部\n{spaced2}\nTEL: {phone} / FAX: {phone}\nMail: {email}\n〒{zip}\n{address}\n",
    "{surname1}さん、お疲れさまです。{surname2}です。先日の資料ですが{email}に送ってください。電話は{phone}が確実です。よろしくお願いします。",
    # contract
    "業務委託契約書\n\n{company}（以下「甲」という）と{name1}（以下「乙」という）は、次のとおり契約を締結する。\n\n{law}（目的）\n甲は乙に対し、月額{price}で業務を委託する。\n\n{law}（期間）\n本契約の期間は{date}から{date}までとする。\n\n{date}\n\n甲　住所　{address}\n　　名称　{company}\n　　代表取締役　{widespaced2}\n\n乙　住所　{address}\n　　氏名　{widespaced1}　印\n",
    # CV
    "履歴書\n\nふりがな　{kanaspaced1}\n氏名　{widespaced1}\n生年月日　{birth}生（満{small}歳）\n現住所　〒{zip}　{address}\n電話　{phone}\nE-mail　{email}\n\n学歴\n平成20年4月　{place}立第一高等学校　入学\n平成23年3月　同校　卒業\n\n免許・資格\n普通自動車第一種運転免許（免許証番号：{licence}）\n",
    # invoice
    "請求書\n\n{company}　御中\n\n登録番号：T{corporate}\n請求書番号：{order}\n発行日：{date}\n\n品名　数量　金額\n{part}　{small}　{price}\n\n合計　{price}\n\nお振込先：みなと銀行　中央支店　普通　{account}\n担当：{name1}（{phone}）\n",
    # minutes
    "第{small}回定例会議 議事録\n日時：{date} 10:00〜11:30\n出席者：{name1}、{name2}、{name3}\n\n1. 進捗報告\n{surname1}氏より、バージョン{version}の試験結果が報告された。不具合は{small}件。\n{surname2}氏から{law}の解釈について質問があった。\n\n次回は{surname3}氏が資料を用意する。\n",
    # chat log
    "[10:02] {surname1}: サーバーに入れません\n[10:03] {surname2}: IPアドレスは {ip} ですか？\n[10:03] {surname1}: いえ、{docip} です\n[10:05] {surname2}: では{email}に詳細を送ってください\n[10:06] {surname1}: 了解です。コミットは {sha} です\n",
    # ticket
    "お問い合わせ番号 {order}\n\nお客様名：{name1} 様\nご連絡先：{phone}\nメールアドレス：{email}\n\n商品コード {jan} が届きません。伝票番号は {track} です。カード番号 {card} で決済しました。\n",
    # payroll
    "従業員情報\n社員番号,氏名,生年月日,マイナンバー,口座番号\n{small},{name1},{iso_birth},{my_number},{account}\n{small},{name2},{iso_birth},{my_number},{account}\n",
    "個人番号：{my_number}\n法人番号：{corporate}\n受付番号：{bigcount}\n上記のとおり届け出ます。\n届出人　{spaced1}\n",
    "在留カード番号 {residence}（有効期限 {date}）と旅券番号 {passport} を確認した。対象者は{place}在住。",
    # web pages
    "会社概要\n\n商号　{company}\n所在地　〒{zip} {address}\n代表者　代表取締役社長 {name1}\n資本金　{price}\n設立　{date}\n電話番号　{phone}\nお問い合わせ　{email}\n法人番号　{corporate}\n",
    "{place}の天気は晴れ。{date}の試合は{score}で終わった。入場者は{small}人だった。詳細は{docmail}ではなく窓口へ。\n商品番号{part}、ISBN {isbn}、価格{price}、バージョン{version}。\n",
    # code and configuration
    '# 設定\nDB_HOST={docip}\nDB_USER=app\nDB_PASSWORD={password}\nAWS_ACCESS_KEY_ID={secret}\nversion = "{version}"\ncommit {sha}\nuuid: {uuid}\n',
    'const client = new Client({{ apiKey: "{key_value}", timeout: 3000 }});\n// 動作確認は {docip}、本番は {ip}\n'.replace(
        "{{", "｛"
    ).replace("}}", "｝"),
    "次の鍵を使ってください。\n{private_key}\n使い終わったら削除してください。checksum: {sha}\n",
    "git log\ncommit {sha}\nAuthor: dev <{email}>\nDate: {date}\n\n    {version} を公開\n",
    # prose with people
    "{name1}（{kanaspaced1}）は{place}の出身で、{birth}生まれ。現在は{company}に勤め、{address}に住んでいる。趣味は読書。",
    "受付担当の{name1}と申します。ご予約は{date}、{small}名様で承りました。当日のご連絡は携帯{phone}へ。変更は{email}でも承ります。",
    "事故の報告\n{date}、{address}付近の路上で、{name1}さん（{small}）の車と{name2}さんの自転車が接触した。",
    "会員登録が完了しました\n会員名：{spaced1}\nフリガナ：{katakana1}\n郵便番号：{zip}\n住所：{address}\n携帯電話：{phone}\n会員番号：{seven}\n",
    "カスタマーサポートです。クレジットカード（番号：{card}、名義：個人）の利用を停止しました。注文番号{order}、追跡番号{track}。",
    "ゆうちょ銀行 記号・番号 {post_account} へお振り込みください。名義は{katakana1}です。手数料{price}はご負担ください。",
    'アクセスログ\n{ip} - - [{date}] "GET /index.html" 200 {small}\n{docip} - - [{date}] "GET /a.png" 304 0\nX-Request-Id: {uuid}\n',
    "{date}の第{small}回審議会で、{surname1}委員長は{law}の改正案を説明した。{name2}委員は反対した。予算は{price}である。",
)

TEST = (
    # correspondence
    "差出人: {spaced1} <{email}>\n宛先: {email}\n日付: {date}\n\n{surname2} 様\n\n平素は格別のご高配を賜り、厚く御礼申し上げます。\n{company}の{surname1}でございます。\n先般ご照会の型番 {part} は在庫が{small}個ございます。単価は税込{price}でございます。\n\n急ぎの折は、わたくしの携帯（{phone}）へお願いいたします。\n\n────────────\n{name1}\n{company}\n{address}\n電話 {phone}（代表）\n────────────\n",
    "おはようございます、{surname1}です。\n明日の件は{surname2}先生にもお伝えしました。返信は{email}へ、または電話{phone}へどうぞ。会議室は{small}番です。",
    "拝啓　時下ますますご清栄のこととお慶び申し上げます。\nさて、このたび下記へ転居いたしましたのでお知らせいたします。\n\n新住所　{zip}　{address}\n新しい電話　{phone}\n\n敬具\n\n{widespaced1}\n",
    # agreements
    "賃貸借契約書\n\n賃貸人 {name1} と賃借人 {name2} は、以下の物件につき{law}に基づき契約した。\n物件の所在：{address}\n賃料：月{price}\n契約日：{date}\n連帯保証人：{spaced3}（電話 {phone}）\n賃借人の運転免許証 番号 {licence} を確認済み。\n",
    "秘密保持誓約書\n\n私は、{company}（法人番号 {corporate}）の業務で知り得た情報を{law}の定めに従い取り扱います。\n\n{date}\n住所：{address}\n署名：{name1}\n生年月日：{birth}\n",
    # people's data
    "職務経歴書\n{date}現在\n名前：{name1}（{kanaspaced1}）\n誕生日：{birth}\n連絡先：{phone}、{email}\n\n職歴\n{date}　{company}　入社\n品質管理を担当し、不良率を{small}ppmまで下げた。\n資格：第{small}号\n",
    "入社手続き\n本人確認のためマイナンバー（{my_number}）を受領しました。給与はうみかぜ信用金庫 本店 (普) {account} に振り込みます。\n対象社員: {spaced1}\n緊急連絡先: {phone}（続柄: 父、{name2}）\n",
    "外国人雇用状況届出\n在留カードの番号：{residence}\nパスポートNo. {passport}\n住居地 {address}\n雇入れ日 {date}、事業所番号 {order}\n",
    "患者ID: {seven}\n患者氏名: {name1} 殿\n生年月日: {iso_birth}\n住所: {address}\n電話: {phone}\n担当医: {name2}\n処方番号 {order}、検査値 {version}\n",
    # business documents
    "納品書 No.{small}\n\nお届け先\n〒{zip}\n{address}\n{widespaced1} 様\n\nJAN {jan}　{small}点　{price}\n送り状番号 {track}\n\n発送元：{company}\nインボイス登録番号 T{corporate}\n問合せ {landline}\n",
    "見積依頼書\n発行：{date}\n依頼先：{company} 営業二課 {surname1}様\n依頼元担当者：{name2}\n図番 {part}、数量 {small}、希望価格 {price}\n返信先メール：{email}\n",
    "振込依頼\n金融機関：しおさい銀行\n支店名：港町支店（店番{small}）\n預金種別：当座\n口座番号：{account}\n口座名義：{katakana1}\n金額：{price}\n依頼人番号 {bigcount}\n",
    "取締役会議事録\n開催日：{date}\n議長 代表取締役 {name1}\n出席取締役 {name2}、{name3}\n監査役 {name4}\n\n議案 {law}による承認の件\n{surname2}取締役が説明し、原案どおり可決した。議決は{score}。\n",
    # chat and support
    "{surname1}：昨日のログ見ました？\n{surname2}：{ip} から変なアクセスがありますね\n{surname1}：うちの監視は {docip} なので違います\n{surname2}：APIキー {secret} が漏れていないか確認します\n{surname1}：お願いします。番号は{phone}です\n",
    "【受付】{date}\n【お名前】{spaced1}\n【ふりがな】{kanaspaced1}\n【電話】{phone}\n【メール】{email}\n【内容】注文{order}の配送先を{address}に変更したい。クレジットカードは{card}。\n",
    "オペレーターの{surname1}が承りました。ご登録のカード（{card}）は{date}に更新されます。製造番号{part}もお手元にご用意ください。折り返しは{landline}へ。",
    # web
    "特定商取引法に基づく表記\n販売業者：{company}\n運営責任者：{name1}\n所在地：〒{zip} {address}\n電話：{phone}（平日10時〜17時）\nメール：{email}\n販売価格：{price}\n",
    "講師紹介\n{name1}（{kana1}）先生\n{birth}生まれ。{place}で育ち、{company}を経て独立。著書のISBNは{isbn}。講演のご依頼は{email}まで。\n",
    "{date}、{place}で行われた大会では{score}の接戦となった。参加は{small}チーム、賞金は{price}。規程{law}により再試合はない。製品{part}の版は{version}、ビルド{timestamp}。",
    "発表によると、{address}の会社員、{name1}さん（{small}）が最優秀賞に選ばれた。{surname1}さんは「うれしい」と話した。審査員は{name2}氏と{name3}教授。",
    # machines
    '[mail]\nserver = smtp.internal\nfrom = {docmail}\nto = {email}\npassword = "{password}"\ntoken: {secret}\nbuild = {version}\nrevision = {sha}\n',
    "export API_SECRET='{key_value}'\ncurl -H 'Authorization: Bearer {secret}' http://{docip}/v1\n# {shortsha} {uuid}\n",
    "鍵ファイルの内容:\n{private_key}\n以上。指紋 {shortsha}\n",
    "failed login from {ip} port {small} at {date}\nconnect postgres://app:{password}@db.internal/main\nsession {uuid} / object {sha}\n",
    "送信先一覧\n{name1}\t{email}\t{phone}\n{name2}\t{email}\t{phone}\n{name3}\t{email}\t{phone}\n合計\t{small}件\t{price}\n",
)
