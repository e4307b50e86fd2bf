"""How people say in plain words that they want no more texts, or no call: patterns, a language at a time.

Written for text as ``opt_out`` compares it: lower case, no accents, single spaces, without punctuation;
apostrophes are spaces, but for English contractions (``dont``).
"""

from __future__ import annotations

from typing import Final


def _words(written: str) -> frozenset[str]:
    return frozenset(written.split("|"))


STOP: Final = _words(
    "stop|stopall|stop all|unsubscribe|cancel|end|quit|revoke|optout|opt out|remove|arret|arreter"
    "|arretez|stopp|abmelden|annulla|basta|alto|baja|parar|cancelar"
)
HELP: Final = _words("help|info|aide|hilfe|aiuto|ayuda")
START: Final = _words("start|unstop")
YES: Final = "yes"
"""Resumes only who is opted out: to everybody else it is an answer to something."""

ALONE: Final = _words("stop|stopp|stopall|stop all|unsubscribe|optout|opt out|abmelden|arret")
"""These also count as a sentence of their own in a longer message."""

COURTESIES: Final = _words(
    "please|pls|plz|thank you very much|thank you so much|thank you|thanks a lot|thanks|thx|cheers|hi"
    "|hello|hey|dear sirs|sorry|now|right now|immediately|at once|already|ok|okay|just|kindly|regards"
    "|yes|sir|madam|bitte sehr|bitte|danke schon|danke|vielen dank|hallo|guten tag|jetzt|sofort|mfg"
    "|liebe grusse|gruss|ja|sehr geehrte damen und herren|mit freundlichen grussen|per favore"
    "|per cortesia|grazie mille|grazie|ciao|buongiorno|subito|adesso|ora|cordiali saluti|por favor"
    "|muchas gracias|gracias|hola|buenos dias|ya|ahora|ahora mismo|de inmediato|saludos"
    "|s il vous plait|s il te plait|svp|stp|merci beaucoup|merci d avance|merci|bonjour|maintenant"
    "|tout de suite|cordialement"
)


_EN_TEXTS: Final = r"(?:texts?|text messages?|messages?|msgs?|sms|mms|notifications?|alerts?|reminders?|spam)"
_EN_THESE: Final = (
    r"(?:(?:all|any|any more|anymore|more|these|those|this|your|the|me|further|future|of|such) )*"
)
_EN_WRITING: Final = (
    r"(?:texting|messaging|msging|messenging|smsing|spamming|contacting|bothering|writing to|writing|bugging"
    r"|harassing|sending)"
)
_EN: Final = (
    rf"(?:stop|quit|cease|halt|end|stop with) {_EN_WRITING}(?: (?:to )?(?:me|us|this number"
    rf"|my (?:number|phone)|it"
    rf"|any|anything|these|those|all|sms|texts?|messages?|so many)\b|$)",
    rf"(?:stop|cancel|end|halt|cease|quit|discontinue|unsubscribe(?: me)? from) {_EN_THESE}{_EN_TEXTS}\b",
    r"(?:dont|do not|never|no longer) (?:ever )?(?:text|message|msg|sms|spam|contact|write to|write) "
    r"(?:me|us|this number|here|my (?:number|phone))\b",
    rf"(?:dont|do not|never|no longer) (?:ever )?send (?:me |us )?{_EN_THESE}{_EN_TEXTS}\b",
    r"(?:dont|do not|never) (?:ever )?(?:text|message|write"
    r"|send)(?: me)?(?: anything)?(?: any ?more| again| ever)",
    rf"no (?:more|further) {_EN_THESE}{_EN_TEXTS}\b",
    rf"(?:dont|do not|no longer) (?:want|wish|like|need|agree|consent)(?: to)? (?:(?:receive|get"
    rf"|getting|receiving"
    rf"|have|be sent) )?{_EN_THESE}{_EN_TEXTS}\b",
    r"(?:dont|do not|no longer) (?:want|wish) to be (?:texted|messaged|contacted)\b",
    r"(?:dont|do not) want (?:you|anyone) (?:to )?(?:text|texting|message|messaging|contact|contacting)\b",
    r"(?:want|wish|like|need|going|how (?:do|can) i|how to|can you|could you|let me|id like|trying|tried) "
    r"(?:to )?(?:stop|unsubscribe|opt out|be (?:removed|unsubscribed|opted out))(?: me| now| please| here)?$",
    r"\bunsubscribe (?:me|us|my number|this number)\b",
    r"\b(?:opt|take|count|get) (?:me|us|my number|this number) (?:out|off)(?: (?:of|from) |$)",
    r"\b(?:take|get) (?:me|us|my number|this number) off\b",
    r"\bopt(?:ing)? out (?:of|from) (?:all |these |your |the |any |this )*(?:texts?|messages?|sms"
    r"|msgs|list|service)\b",
    r"\bi (?:am |m )?(?:opt(?:ing)?|opted) out\b(?! of)",
    r"\b(?:remove|delete|erase) (?:me|us|my (?:phone )?number|this number|my contact)\b"
    r"(?: (?:from|off)\b|$| please| now| at once)",
    r"\bremove (?:me|my (?:phone )?number|this number)\b",
    r"\b(?:revoke|withdraw|retract|rescind|cancel) (?:my|any|all|the) (?:consent|permission"
    r"|agreement|subscription"
    r"|sms subscription|opt in)\b",
    r"\bleave me alone\b",
    r"\blose (?:my|this) number\b",
    r"\b(?:stop|end|cancel) (?:my |the |this |these )?(?:sms |text )?subscription\b",
    r"\bmake (?:it|this|these|the texts) stop$",
    r"^stop (?:it|this|that|them|everything|forever|both|im not interested|i am not interested|not interested"
    r"|i dont want (?:this|it|these|any)|i said|go away|wrong number|you have the wrong number"
    r"|doing this|now|sms"
    r"|means stop)\b",
    r"\bi said stop\b",
    r"\bnot interested\b.{0,20}\bstop$",
)
_DE_TEXTS: Final = (
    r"(?:sms|sms nachrichten|nachrichten?|kurznachrichten?|texte?|mitteilungen|benachrichtigungen|werbung|mms"
    r"|werbe sms|sowas|so etwas|solche sms|solche nachrichten|diese sms|diese nachrichten)"
)
_DE: Final = (
    rf"\b(?:keine?|keinerlei) (?:(?:weiteren?|solchen?|mehr|solche|weitere|solcher|einzige) )*{_DE_TEXTS}"
    r"(?: (?:von (?:ihnen|euch)|an mich|an diese nummer|auf diese nummer))*"
    r"(?: (?:mehr|schicken|senden|bitte|wunsche|zusenden|zuschicken)\b|$)",
    rf"\b(?:will|mochte|wunsche|brauche|wollen|mochten) (?:ich |wir )?(?:keine?"
    rf"|nichts) (?:\w+ ){{0,2}}?{_DE_TEXTS}\b",
    r"\b(?:schreiben|schreibt|schreib|texten|simsen) (?:sie |ihr )?(?:mir|uns"
    r"|mich) (?:bitte )?(?:nicht|nichts|nie|keine)\b",
    r"\b(?:schicken|schickt|schick|senden|sendet|sende) (?:sie |ihr )?(?:mir"
    r"|uns) (?:bitte )?(?:nichts|nie wieder|keine (?:sms"
    r"|nachrichten|texte|mitteilungen|werbung|weiteren))\b",
    r"\b(?:nicht|nie) (?:mehr|wieder) (?:an)?(?:schreiben|simsen|kontaktieren|belastigen|texten"
    r"|senden|schicken|melden)\b",
    r"\bhor(?:en|t)?(?: sie| ihr)? (?:bitte |sofort |endlich )*(?:auf|mit)\b.{0,40}\b(?:schreiben"
    r"|sms|nachrichten|senden"
    r"|schicken|texten|belastigen|simsen)\b",
    r"\b(?:will|mochte|wunsche)(?: ich)? (?:nicht|nie) (?:mehr |wieder |langer "
    r"|weiter )?(?:per sms )?(?:angeschrieben|kontaktiert"
    r"|belastigt|benachrichtigt|informiert) werden\b",
    r"\b(?:meld(?:en|et|e)?|trag(?:en|t|e)?|nehm(?:en|t)|nimm|losch(?:en|t|e)?|streich(?:en|t|e)?"
    r"|entfern(?:en|t|e)?)"
    r"(?: sie| ihr)? (?:mich|uns|meine (?:handy|telefon|mobil)?nummer|meine handynummer"
    r"|meine daten|diese nummer)\b"
    r"(?! (?:an|ein)\b)(?: bitte)?(?: (?:ab|aus|raus|von|vom)\b|$)",
    r"\b(?:mich|uns|meine (?:handy|telefon|mobil)?nummer|diese nummer) (?:bitte "
    r"|sofort )*(?:wieder |aus \w+ \w+ |aus \w+ |von \w+ \w+ )*"
    r"(?:abmelden|abzumelden|austragen|auszutragen|loschen|entfernen|streichen|abbestellen)$",
    r"\b(?:sms|nachrichten|newsletter|benachrichtigungen)(?: service| dienst)? (?:bitte "
    r"|sofort )*(?:abbestellen|abmelden|stoppen"
    r"|einstellen|beenden|abstellen|deaktivieren|abschalten)$",
    r"\b(?:stoppen|stoppt|stopp|stop|beenden|beende) (?:sie )?(?:bitte )?(?:mit )?(?:die |den "
    r"|diese |alle |das |der |ihre |eure |weitere )*"
    r"(?:sms|nachrichten|texte|mitteilungen|benachrichtigungen|sms service|sms dienst|werbung)\b",
    r"\b(?:widerrufe|widerruf|ziehe|widerspreche)\b.{0,30}\b(?:einwilligung|zustimmung|erlaubnis"
    r"|genehmigung|sms|nachrichten)\b",
    r"\b(?:einwilligung|zustimmung|erlaubnis) (?:\w+ ){0,3}(?:widerrufen|widerrufe|zuruck|zuruckziehen)\b",
    r"\blass(?:en|t)?(?: sie| ihr)? (?:mich|uns) (?:bitte |endlich |doch )*in (?:ruhe|frieden)\b",
    r"\b(?:will|mochte|wie kann|wie|wunsche)(?: ich)? (?:mich |das |dies |alles |hier )*(?:bitte "
    r"|wieder |von \w+ )*"
    r"(?:abmelden|abbestellen|austragen)(?: kann ich mich)?$",
    r"\bwie (?:melde|bestelle) ich (?:mich|das|die sms|den dienst|diese sms) (?:hier |wieder )*ab$",
    r"^(?:stop|stopp) (?:ich will (?:das|keine)|es reicht|das nervt|kein interesse|keine sms"
    r"|keine nachrichten|falsche nummer"
    r"|sms|mit den sms|mit sms)\b",
    r"\bkein interesse\b.{0,20}\b(?:stop|stopp|abmelden)$",
)
_IT_TEXTS: Final = r"(?:sms|messagg(?:io|i|ini)|mms|notifiche|pubblicita|comunicazioni|promozioni)"
_IT: Final = (
    rf"\bbasta (?:(?:con|di|mandare|inviare|ricevere|i|gli|questi|questa|vostri|coi|tutti|mandarmi"
    rf"|inviarmi|scrivermi|per|favore) )*(?:{_IT_TEXTS}|scrivermi|"
    r"mandarmi|disturbarmi|contattarmi)\b",
    rf"\b(?:non|mai) (?:(?:mi|ci|piu|deve|dovete|mandare|inviare|mandate|inviate|mandatemi"
    rf"|inviatemi|mandi|invii|mandarmi|inviarmi|desidero|voglio|vogliamo|vorrei"
    rf"|gradisco|ricevere|altri|dei|i|vostri|questi|alcun|nessun|accetto|acconsento|a) )+{_IT_TEXTS}\b",
    r"\bnon (?:mi |ci )?(?:scriv(?:ete|a|ere|ermi|etemi|i)|contatt(?:ate|are|armi|atemi|i)"
    r"|disturb(?:ate|are|armi|atemi|i)"
    r"|messaggi(?:ate|armi|atemi))(?: mi)?(?: piu| mai| via sms| per sms|$| su questo)",
    r"\bnon (?:voglio|desidero|vorrei) (?:piu )?essere (?:contattat|disturbat)[oaie]\b",
    r"\bnon (?:voglio|desidero) (?:piu )?(?:che mi (?:scriviate|contattiate)"
    r"|ricevere (?:piu )?(?:niente|nulla))\b",
    rf"\b(?:smett(?:ete|etela|a|ere|i|ila)|smetterla|fin(?:itela|iscila)|piantatela)\b(?: di"
    rf"| con)? (?:(?:mandar(?:e|mi)|inviar(?:e|mi)|i|gli|questi|con) )*"
    rf"(?:{_IT_TEXTS}|scrivermi|scrivere|contattarmi|disturbarmi)\b",
    rf"\b(?:stop|ferm(?:ate|are|a)|interromp(?:ete|ere)|blocc(?:ate|are)|annull(?:ate|are)"
    rf"|disattiv(?:ate|are|a)|cancell(?:ate|are)) "
    rf"(?:per favore )?(?:(?:a|ai|agli|coi|i|gli|questi|tutti|invio|l|degli|dei|di|il|servizio"
    rf"|vostri|con|la|ricezione) )*{_IT_TEXTS}\b",
    rf"\b(?:niente|nessun|mai) (?:piu )?(?:altro |altri )?{_IT_TEXTS}\b",
    r"\b(?:cancell|rimuov|togli|elimin|disiscriv)\w*(?:mi| mi| il mio numero"
    r"| questo numero)\b(?: (?:dalla|da|dal|dai|subito)\b|$)",
    r"\b(?:togliete|togli|cancellate|rimuovete|eliminate|cancella|rimuovi"
    r"|elimina) (?:il mio numero|questo numero|i miei dati)\b",
    r"\b(?:voglio|vorrei|desidero|come (?:faccio a|posso)) (?:(?:cancellar|disiscriver|toglier"
    r"|rimuover)mi|annullare l iscrizione"
    r"|revocare|non ricevere piu)\b",
    r"\brevoco (?:il (?:mio )?)?(?:consenso|autorizzazione)\b",
    r"\b(?:revoco|ritiro|revocare|ritirare) (?:il |la |l |mio |mia |ogni )*(?:consenso|autorizzazione)\b",
    r"\blasciat(?:emi|eci) (?:in pace|stare)\b|\blasciami in pace\b",
    r"\bannull(?:a|are|ate) (?:l |la |mia )*(?:iscrizione|sottoscrizione|abbonamento sms)\b",
    r"^(?:basta|stop) (?:cosi|sono stufo|non mi interessa|non sono interessat[oa]|numero sbagliato)\b",
)
_ES_TEXTS: Final = (
    r"(?:sms|mensajes?|mensajitos|mms|notificaciones|publicidad|textos|avisos|whatsapps|promociones)"
)
_ES: Final = (
    rf"\bno (?:(?:me|nos|quiero|queremos|deseo|mas|envien|envie|envies|enviar|enviarme|manden"
    rf"|mande|mandes|mandar|mandarme|recibir|vuelvan|vuelva|a|deseamos"
    rf"|sus|estos|mas|autorizo|acepto|otro|otros|ningun|el|envio|de|los|necesito) )+{_ES_TEXTS}\b",
    r"\bno (?:me|nos) (?:escriban?|escribas|contacten?|contactes|molesten?|molestes|textee?n?)\b",
    r"\bno (?:quiero|deseo) (?:mas )?(?:que me (?:escriban|contacten|manden|envien)"
    r"|ser contactad[oa]|recibir (?:mas )?nada|mas)\b",
    r"\bno (?:me )?vuelvan? a (?:escribir|contactar|molestar|enviar|mandar)(?:me)?\b",
    rf"\b(?:dejen?|deja|dejad|paren?|para|parad|cesen) (?:ya )?(?:de )?(?:(?:enviar|mandar"
    rf"|enviarme|mandarme|los|estos|sus|con|los|mas) )*"
    rf"(?:{_ES_TEXTS}|escribirme|escribir|molestarme|molestar|contactarme|textearme)\b",
    rf"\b(?:alto|basta|stop|cancel(?:ar|en|e|a)|par(?:ar|en|e)|deten(?:er|gan|ga)|anul(?:ar|en|e)"
    rf"|desactiv(?:ar|en|e)|suspend(?:er|an)|elimin(?:ar|en)) "
    rf"(?:(?:ya|de|a|con|los|estos|sus|todos|el|envio|servicio|la|suscripcion|enviar|mandar) )*{_ES_TEXTS}\b",
    rf"\b(?:ni un|ningun|no) (?:mensaje|sms|texto) mas\b|\b(?:no mas|basta de|nunca mas) {_ES_TEXTS}\b",
    r"\b(?:denme|deme|dame|dadme|darme|darse|darnos|dar|quiero la|solicito la|solicito"
    r"|pido la) (?:de )?baja(?:$| por favor| de (?:la lista|estos|sus|este|esta|los))",
    r"\b(?:me doy|quiero darme|deseo darme|como me doy) (?:de )?baja\b",
    r"\b(?:borr|elimin|quit|sa[cq]u?)(?:ar|en|e|a|as|ad)?(?:me|nos)\b (?:de|por favor)\b|"
    r"\b(?:borr|elimin|quit|retir|sa[cq]u?)(?:ar|en|e|a|ad)? mi (?:numero|telefono|movil|celular)\b|"
    r"^(?:borrenme|eliminenme|quitenme|saquenme|borrame|quitame)$",
    r"\b(?:revoco|retiro|anulo|cancelo|revocar|retirar|anular) (?:mi|el|todo) (?:consentimiento"
    r"|autorizacion|permiso|suscripcion)\b",
    r"\b(?:cancel(?:ar|en|e|o)|anul(?:ar|en|e)) (?:mi |la )?suscripcion\b",
    r"\b(?:dejenme|dejeme|dejame|dejadme) (?:en paz|tranquil[oa])\b",
    r"\b(?:desuscribir(?:me|se)?|desuscribanme|desuscribeme|desinscribir(?:me)?)\b",
    r"^(?:alto|basta|stop) (?:ya|no me interesa|no estoy interesad[oa]|numero equivocado)\b",
)
_FR_TEXTS: Final = r"(?:sms|messages?|textos?|mms|notifications?|pub|publicites?|relances|msgs?|alertes)"
_FR: Final = (
    rf"\b(?:arret(?:ez|e|er|ons)|cess(?:ez|e|er)|stopp(?:ez|er|e)|stop|fini(?:ssez)?) (?:svp "
    rf"|maintenant |immediatement |s il vous plait |tout de suite )?"
    rf"(?:(?:de|d|m|me|les|vos|ces|tous|l|envoi|des|envoyer|avec|nous|aux|a|ecrire|la"
    rf"|reception) )*(?:{_FR_TEXTS}|ecrire|contacter|deranger|harceler"
    rf"|embeter|importuner|spammer)\b",
    r"\b(?:n |ne |m |me )*(?:envoyez|envoie|envoyer|ecrivez|ecris|ecrire|contactez|contacter"
    r"|derangez|adressez|envoyez moi|ecrivez moi) (?:plus|jamais)\b",
    r"\bne plus (?:jamais )?(?:me |m |nous )?(?:contacter|ecrire|envoyer|deranger|solliciter|importuner)\b",
    rf"\b(?:ne|n) (?:(?:m|me|nous) )?(?:envoyez|envoyer|adressez) (?:plus|pas"
    rf"|jamais) (?:\w+ ){{0,2}}?{_FR_TEXTS}\b",
    r"\b(?:ne|n) (?:(?:m|me|nous) )(?:ecrivez|ecrire|contactez|contacter|derangez) (?:pas|plus|jamais)\b",
    rf"\bplus (?:de |d |aucun |aucuns |jamais de |un seul )+{_FR_TEXTS}\b(?: svp| merci"
    rf"| s il vous plait| de votre part| a ce numero| desormais|$)",
    rf"\bplus aucun {_FR_TEXTS}\b",
    rf"\b(?:ne )?(?:veux|souhaite|desire|voulons|souhaitons|veut|souhaiterais|voudrais) (?:plus"
    rf"|pas) (?:(?:recevoir|avoir|etre|de|d|des|vos|ces|aucun|vos|du|tout"
    rf"|que vous m envoyiez|contacte par|contactee par) )*(?:{_FR_TEXTS}|derange|derangee|contacte"
    rf"|contactee|importune)\b",
    r"\b(?:ne )?(?:veux|souhaite) (?:plus|pas) que vous m (?:ecriviez|envoyiez|contactiez)\b",
    rf"\b(?:pas|aucun|ni) (?:d autres?|de) (?:{_FR_TEXTS})\b(?: svp| merci|$)"
    rf"|\baucun (?:autre )?{_FR_TEXTS}(?: svp| merci|$)",
    r"\bdes(?:abonn|inscri|inscriv)\w*\b(?: moi| nous|$| svp| s il vous plait| de )|\b(?:me"
    r"|m) desabonner\b|\bme desinscrire\b",
    r"\b(?:retir(?:ez|er)|supprim(?:ez|er)|enlev(?:ez|er)|ray(?:ez|er)|effac(?:ez|er)|otez)(?: moi"
    r"| nous| mon numero| ce numero| mes coordonnees)\b",
    r"\b(?:revoque|retire|annule|revoquer|retirer) (?:mon|le|tout) (?:consentement|accord"
    r"|autorisation|abonnement)\b",
    r"\b(?:retire|revoque|annule|annuler) mon (?:accord|autorisation|inscription|abonnement sms)\b",
    r"\b(?:laissez|fichez|foutez)(?: moi| nous) (?:tranquille|en paix|la paix)\b|\blache(?:z)? moi\b",
    r"^(?:stop|arret) (?:pas interesse|je ne suis pas interesse|ca suffit|sms|pub|mauvais numero"
    r"|je ne veux plus)\b",
)

NO_MORE_TEXTS: Final = (*_EN, *_DE, *_IT, *_ES, *_FR)

NO_CALL_WORDS: Final = _words(
    "no call|no callback|no call back|nocall|dont call|do not call|dont call back|do not call back"
    "|kein ruckruf|kein anruf|nicht zuruckrufen|nicht anrufen|keinen ruckruf|ruckruf loschen"
    "|ruckruf stornieren|nessuna chiamata|non richiamare|nessun richiamo|non chiamare"
    "|non richiamatemi|sin llamada|no llamar|no llamen|no me llamen|sin devolucion|pas d appel"
    "|pas de rappel|ne pas rappeler|plus de rappel|ne rappelez pas|ne me rappelez pas"
)

NO_CALL: Final = (
    r"\b(?:dont|do not|no need to|neednt|need not|dont need to) (?:call|ring|phone)(?: (?:me"
    r"|us))?(?: back| any ?more|$)",
    r"\b(?:cancel|stop|delete|drop|forget) (?:my|the|this|that) (?:call ?back|return call|call)\b",
    r"\b(?:no longer|dont|do not) (?:need|want) (?:a|the|your|my|that|to be) (?:call ?back|call"
    r"|called(?: back)?)\b",
    r"\b(?:brauche|brauchen|mochte|will|wunsche)(?: ich)? (?:doch )?(?:keinen|den) (?:ruckruf"
    r"|anruf) (?:mehr|nicht mehr)\b",
    r"\bkeinen? (?:ruckruf|anruf) (?:mehr|notig)\b|\bnicht mehr (?:zuruckrufen|anrufen)\b",
    r"\b(?:rufen|ruft|ruf)(?: sie)? (?:mich |uns )?(?:bitte |doch )*nicht (?:mehr )?(?:zuruck|an)\b",
    r"\bruckruf (?:bitte )?(?:absagen|loschen|stornieren|nicht (?:mehr )?(?:notig|notwendig))\b",
    r"\bnon (?:mi |ci )?(?:richiam|chiam)(?:ate|are|armi|atemi|i|a)(?: piu|$)"
    r"|\bnon serve (?:piu )?(?:la chiamata|richiamare|che mi richiamiate)\b",
    r"\bannull(?:a|ate|are) la (?:chiamata|richiamata)\b",
    r"\bno (?:me |nos )?(?:llame|llamen|llames)(?: mas| ya|$)|\b(?:ya )?no (?:necesito|hace falta"
    r"|quiero) (?:la|que me|una) ?(?:llamada|llamen|devuelvan)\b",
    r"\b(?:cancelen|anulen|cancele|anule) la llamada\b",
    r"\bne (?:me |nous )?rappelez (?:pas|plus)\b|\b(?:plus|pas) besoin (?:de|d"
    r"|que vous me) (?:rappel|rappeler|etre rappelee?|rappeliez)\b",
    r"\bannul(?:ez|er) (?:le|mon) rappel\b",
)
